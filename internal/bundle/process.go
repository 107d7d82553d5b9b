package bundle

import (
	"bytes"
	"os"
	"strconv"

	"github.com/deckhand-engine/deckhand/internal/runtime"
)

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
func (p process) alive() bool {
	if p.Pid <= 0 {
		return false
	}
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(p.Pid) + "/stat")
	if err != nil {
		return false
	}
	// The name in parentheses may have anything in it, parentheses and spaces too.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	const state, startTime = 0, 22 - 3 // the first of fields is number 3 of proc_pid_stat(5)
	if len(fields) <= startTime || fields[state][0] == 'Z' || fields[state][0] == 'X' {
		return false
	}
	ticks, err := strconv.ParseUint(string(fields[startTime]), 10, 64)
	return err == nil && ticks == p.StartTicks
}
