// Command enforcer enforces NetworkPolicies with kube-router's controller, in the network namespace that it runs in.
//
// It reads a JSON list of Kubernetes objects from stdin: one Node, and the Namespaces, Pods and NetworkPolicies of a
// cluster. It writes the rules of iptables and ipset once, prints a line, and ends.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/cloudnativelabs/kube-router/v2/pkg/controllers/netpol"
	"github.com/cloudnativelabs/kube-router/v2/pkg/healthcheck"
	"github.com/cloudnativelabs/kube-router/v2/pkg/options"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/kubernetes/scheme"
)

const (
	heartbeats = 10               // the controller sends one for each sync; nobody reads them
	period     = 24 * time.Hour   // of the controller's own syncs; the first one is immediate
	patience   = 20 * time.Second // until the rules must be written
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	objects, node, err := readObjects()
	if err != nil {
		return err
	}
	client := fake.NewSimpleClientset(objects...)
	config := options.NewKubeRouterConfig()
	config.ClusterIPCIDRs = []string{"10.96.0.0/12"}
	config.EnableIPv4, config.EnableIPv6 = true, false
	config.HostnameOverride = node
	config.IPTablesSyncPeriod = period

	factory := informers.NewSharedInformerFactory(client, 0)
	pods := factory.Core().V1().Pods().Informer()
	namespaces := factory.Core().V1().Namespaces().Informer()
	policies := factory.Networking().V1().NetworkPolicies().Informer()
	stop := make(chan struct{})
	factory.Start(stop)
	factory.WaitForCacheSync(stop)

	var ipsets sync.Mutex
	tables, sets, err := netpol.NewIPTablesHandlers(config)
	if err != nil {
		return err
	}
	controller, err := netpol.NewNetworkPolicyController(
		client, config, pods, policies, namespaces, &ipsets, tables, sets)
	if err != nil {
		return err
	}
	var running sync.WaitGroup
	running.Add(1)
	beats := make(chan *healthcheck.ControllerHeartbeat, heartbeats)
	go controller.Run(beats, stop, &running)
	select {
	case <-beats: // a sync has begun
	case <-time.After(patience):
		return fmt.Errorf("the controller wrote no rules within %s", patience)
	}
	close(stop) // the controller completes the sync before it ends
	running.Wait()
	fmt.Println("enforced")
	return nil
}

// readObjects returns the objects and the name of the Node among them.
func readObjects() ([]runtime.Object, string, error) {
	text, err := io.ReadAll(os.Stdin)
	if err != nil {
		return nil, "", err
	}
	var items []json.RawMessage
	if err := json.Unmarshal(text, &items); err != nil {
		return nil, "", err
	}
	decoder := scheme.Codecs.UniversalDeserializer()
	var objects []runtime.Object
	node := ""
	for _, item := range items {
		object, kind, err := decoder.Decode(item, nil, nil)
		if err != nil {
			return nil, "", err
		}
		if kind.Kind == "Node" {
			var named struct {
				Metadata struct{ Name string }
			}
			if err := json.Unmarshal(item, &named); err != nil {
				return nil, "", err
			}
			node = named.Metadata.Name
		}
		objects = append(objects, object)
	}
	return objects, node, nil
}
