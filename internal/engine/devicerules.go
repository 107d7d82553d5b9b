package engine

import (
	"errors"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/deckhand-engine/deckhand/internal/linux/cgroup"
)

// deviceRules deny every device but those that all containers have, and these.
func deviceRules(nodes []node) []specs.LinuxDeviceCgroup {
	rules := append([]specs.LinuxDeviceCgroup{{Allow: false, Access: "rwm"}}, cgroup.StandardDevices()...)
	for i := range nodes {
		rules = append(rules, nodes[i].rule())
	}
	return rules
}

// keepDevices has the kernel refuse a running container the devices that it was not given: a process that may change
// mounts could take nodev off them.
func keepDevices(g *cgroup.Group, given []Device) error {
	if g.Path == "" {
		return errors.New("--privileged needs a cgroup, to keep devices from the container")
	}
	if has, err := g.RestrictsDevices(); err != nil || has {
		return err
	}
	nodes, err := nodesOf(given)
	if err != nil {
		return err
	}
	return g.Update(&specs.LinuxResources{Devices: deviceRules(nodes)})
}
