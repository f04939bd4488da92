"""Starts a real Kubernetes for the demo and the tests: `python3 -m tests.cluster up` in the root of the checkout.

Verbs: `up` (cluster, images, chart), `down`, `kubeconfig`, `load IMAGE`. The parts of `up` are verbs too: `cluster`,
`images`, `install`. Each of them may be interrupted at any moment and repeated.

`CLUSTER` chooses the provider:

- `kind`, if Docker runs. It needs docker, kind, kubectl and helm on PATH.
- `bare`, on Linux as root. It builds Kubernetes from Go modules and runs it as processes of this host;
  `bare/README.md` says what it needs, changes and lacks.
- `current`, the kubeconfig's current context. It needs `CLUSTER_I_MEAN_IT=<name of the context>`, and pushes images to
  `IMAGE_REGISTRY`.

`up` writes `.cluster/kubeconfig` and `.cluster/env`, whose `export` lines also set a PATH with kubectl and helm.
`PGIMPORT_CLUSTER_DIR` names another folder than `.cluster`. The API server of `bare` writes the requests of the chart's
service accounts, without bodies, into `.cluster/logs/audit.log`. With `PGIMPORT_AUDIT_LOG=1`, it writes all requests.
"""
