package bundle

import (
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/deckhand-engine/deckhand/internal/linux/cgroup"
)

// resources are linux.resources with what the specification leaves to the runtime: the devices that
// every container has may be used whatever the rules say, and nodes be made of any.
//
// Rules that allow nothing are left to the mounts, none of which has devices but those, unless the
// container can make nodes or mounts.
func resources(s *specs.Spec) *specs.LinuxResources {
	if s.Linux.Resources == nil || len(s.Linux.Resources.Devices) == 0 {
		return s.Linux.Resources
	}
	r := *s.Linux.Resources
	if !allowsDevices(s) && !powerful(s.Process.Capabilities) {
		r.Devices = nil
	} else {
		r.Devices = append(slices.Clip(r.Devices), standardDevices()...)
	}
	return &r
}

// allowsDevices reports whether a rule of linux.resources.devices allows any.
func allowsDevices(s *specs.Spec) bool {
	r := s.Linux.Resources
	return r != nil && slices.ContainsFunc(r.Devices, func(d specs.LinuxDeviceCgroup) bool { return d.Allow })
}

// powerful: it can make nodes, or mounts without nodev.
func powerful(c *specs.LinuxCapabilities) bool {
	return c != nil && (slices.Contains(c.Bounding, "CAP_MKNOD") || slices.Contains(c.Bounding, "CAP_SYS_ADMIN"))
}

// standardDevices are those of all containers, and that nodes may be made of any, as runc has it.
func standardDevices() []specs.LinuxDeviceCgroup {
	return append([]specs.LinuxDeviceCgroup{
		{Allow: true, Type: "c", Access: "m"},
		{Allow: true, Type: "b", Access: "m"},
	}, cgroup.StandardDevices()...)
}
