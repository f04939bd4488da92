"""A real Kubernetes for the demo and the tests: `python3 -m tests.cluster up` from the root of the checkout.

Verbs: `up` (cluster, images, chart), `down`, `kubeconfig`, `load IMAGE`; and the parts of `up` by themselves:
`cluster`, `images`, `install`. Each may be interrupted at any moment and repeated.

`CLUSTER` chooses the provider:

- `kind`: where Docker answers. Needs docker, kind, kubectl and helm on PATH.
- `bare`: on Linux as root. Needs Go ≥ 1.21 on PATH and, where they are not installed yet, Debian's packages. Builds
  every program of Kubernetes from its Go modules into `${XDG_CACHE_HOME:-~/.cache}/pgimport` (once a machine, about
  ten minutes on two cores) and runs them as processes of this host. Everything else is in `.cluster/`: keys, logs,
  pids, etcd, containers. The API server answers on the bridge's address 10.244.0.1, port 16443, which this host and
  its pods reach and no other machine does. Not there: hostPort, a StorageClass, enforced NetworkPolicies.
- `current`: the kubeconfig's current context, only with `CLUSTER_I_MEAN_IT=<its name>`; images are pushed to
  `IMAGE_REGISTRY`.

`up` leaves `.cluster/kubeconfig` and `.cluster/env` (`export` lines, also a PATH with kubectl and helm).
`PGIMPORT_CLUSTER_DIR` moves `.cluster` elsewhere. A second `bare` cluster at the same time needs a network
namespace of its own (`unshare --net`): kube-proxy's rules have the same names everywhere.
The API server of `bare` writes what the chart's accounts ask into `.cluster/logs/audit.log` (metadata, never bodies),
and what anybody asks where `PGIMPORT_AUDIT_LOG=1`.
"""
