// krew, the plugin manager of kubectl, as its own main package starts it.
package main

import (
	"k8s.io/klog/v2"
	"sigs.k8s.io/krew/cmd/krew/cmd"
)

func main() {
	defer klog.Flush()
	cmd.Execute()
}
