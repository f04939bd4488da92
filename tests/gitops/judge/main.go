// Judges objects as GitOps tools do. Reads one request from standard input and writes one verdict for each object:
// kstatus, with which Flux and Helm 4 wait; Flux's health check expressions; and a health script of Argo CD.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"github.com/fluxcd/pkg/apis/kustomize"
	"github.com/fluxcd/pkg/runtime/cel"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

type request struct {
	// HealthChecks is the YAML of spec.healthCheckExprs of a Flux Kustomization.
	HealthChecks string `json:"healthChecks"`
	// Script is a health script of Argo CD.
	Script  string            `json:"script"`
	Objects []json.RawMessage `json:"objects"`
}

type verdict struct {
	Kstatus       string `json:"kstatus"`
	Message       string `json:"message"`
	Flux          string `json:"flux"`
	ArgoCD        string `json:"argoCD"`
	ArgoCDMessage string `json:"argoCDMessage"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	var given request
	if err := json.NewDecoder(os.Stdin).Decode(&given); err != nil {
		return fmt.Errorf("read the request: %w", err)
	}
	evaluators, err := parseHealthChecks(given.HealthChecks)
	if err != nil {
		return err
	}
	verdicts := []verdict{}
	for _, raw := range given.Objects {
		answer, err := judge(raw, evaluators, given.Script)
		if err != nil {
			return fmt.Errorf("judge %s: %w", raw, err)
		}
		verdicts = append(verdicts, answer)
	}
	return json.NewEncoder(os.Stdout).Encode(verdicts)
}

func parseHealthChecks(text string) (map[string]*cel.StatusEvaluator, error) {
	var checks []kustomize.CustomHealthCheck
	if err := yaml.UnmarshalStrict([]byte(text), &checks); err != nil {
		return nil, fmt.Errorf("parse the health checks: %w", err)
	}
	evaluators := map[string]*cel.StatusEvaluator{}
	for _, check := range checks {
		evaluator, err := cel.NewStatusEvaluator(&check.HealthCheckExpressions)
		if err != nil {
			return nil, err
		}
		evaluators[check.APIVersion+"/"+check.Kind] = evaluator
	}
	return evaluators, nil
}

// Unmarshals with integers as int64, which kstatus and Flux expect.
func judge(raw json.RawMessage, evaluators map[string]*cel.StatusEvaluator, script string) (verdict, error) {
	object := &unstructured.Unstructured{}
	if err := object.UnmarshalJSON(raw); err != nil {
		return verdict{}, err
	}
	computed, err := status.Compute(object)
	if err != nil {
		return verdict{}, err
	}
	answer := verdict{Kstatus: string(computed.Status), Message: computed.Message}
	evaluator, ok := evaluators[object.GetAPIVersion()+"/"+object.GetKind()]
	if !ok {
		return verdict{}, fmt.Errorf("no health check for this kind")
	}
	evaluated, err := evaluator.Evaluate(context.Background(), object)
	if err != nil {
		return verdict{}, err
	}
	answer.Flux = string(evaluated.Status)
	answer.ArgoCD, answer.ArgoCDMessage, err = runHealthScript(script, object)
	return answer, err
}
