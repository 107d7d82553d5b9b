package cgroup

import specs "github.com/opencontainers/runtime-spec/specs-go"

// StartPids is more than the processes and threads that it takes to start a container: until it executes the command,
// the first process is a program with threads, and the thread that forks it is in the group (Enter).
const StartPids = 16

// Starting splits resources that would leave too few processes for the start: first is for Make, and then for Update
// as soon as the container's process waits for nothing but to execute the command. Else then is nil, and first is r.
func Starting(r *specs.LinuxResources) (first, then *specs.LinuxResources) {
	if r == nil || r.Pids == nil || r.Pids.Limit == nil || *r.Pids.Limit < 0 || *r.Pids.Limit >= StartPids {
		return r, nil
	}
	loose := *r
	loose.Pids = &specs.LinuxPids{Limit: new(int64(StartPids))}
	return &loose, &specs.LinuxResources{Pids: r.Pids}
}
