package bundle

import "github.com/deckhand-engine/deckhand/internal/runtime"

// process is a container's first process, known by pid and start time: a pid alone is reused.
type process struct {
	Pid        int    `json:"pid,omitempty"`
	StartTicks uint64 `json:"startTicks,omitempty"`
}

// findProcess learns the start time of a process that cannot have ended.
func findProcess(pid int) (process, error) {
	ticks, err := runtime.StartTicks(pid)
	return process{pid, ticks}, err
}

// alive reports whether it runs. A process that has ended and waits to be reaped does not.
func (p process) alive() bool { return p.Pid > 0 && runtime.Alive(p.Pid, p.StartTicks) }
