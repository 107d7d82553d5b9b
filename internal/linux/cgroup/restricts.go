package cgroup

// RestrictsDevices reports whether the group has a rule for devices of its own.
func (g *Group) RestrictsDevices() (bool, error) {
	if g.Dir == nil {
		return g.memberOf("devices") != nil, nil
	}
	ids, err := attachedDevices(int(g.Dir.Fd()))
	return len(ids) > 0, err
}
