// Package battery is the attacker's battery: for each probe of the catalogue the real system call, with real
// arguments, made so that it does no harm. Only the program deckhand-probe links it.
//
// The program is started inside a container, as the user and with the privileges that are in question:
//
//	deckhand-probe [--command PROGRAM] [NAME…]   run those probes, all unless some are named
//	deckhand-probe list                          print the probes' names
//
// It writes one probe.Result a line, as JSON, in the catalogue's order, and exits with 0; with 2 where its own
// command line is wrong. PROGRAM is the first word of the image's own command; without it write-command is absent.
//
// Each probe runs in a process of its own, since probes change who they are, and with a time limit: a probe that the
// kernel kills, or that hangs, is a result like any other. The program needs nothing of the image but its own
// file, not even /proc, and as pid 1 it reaps.
package battery

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/deckhand-engine/deckhand/guard/probe"
)

// trial is a probe's code. The Result's Probe is filled in by the caller.
type trial struct {
	name string
	try  func(*scene) probe.Result
}

// families are the trials, a family of the catalogue each.
func families() [][]trial {
	return [][]trial{
		identities(), reads(), writes(), executions(), networking(), processes(), namespaces(), kernels(), machines(),
	}
}

// find gives the trial of a probe.
func find(name string) (trial, bool) {
	for _, family := range families() {
		for _, t := range family {
			if t.name == name {
				return t, true
			}
		}
	}
	return trial{}, false
}

// The first words of the command lines that the program starts itself with.
const (
	wordTry     = "try"     // NAME COMMAND FELLOW FOREIGN: one probe
	wordHeld    = "held"    // a process to try something on: it waits for the end of its input
	wordWhoAmI  = "whoami"  // prints the effective user id
	wordNothing = "nothing" // exits
)

// Main is the program: args as main got them. It returns the exit code.
func Main(args []string, stdout, stderr io.Writer) int {
	debug.SetGCPercent(-1) // nothing here lives long enough to be worth a collection
	word, rest := "", args
	if len(args) > 1 {
		word, rest = args[1], args[2:]
	}
	switch {
	case word == wordTry && len(rest) == 4:
		return try(rest, stdout)
	case word == wordHeld:
		return hold()
	case word == wordWhoAmI:
		return whoAmI(stdout)
	case word == wordNothing:
		return 0
	case word == "list":
		for _, p := range probe.Probes() {
			_, _ = fmt.Fprintln(stdout, p.Name) // a reader that is gone needs no names
		}
		return 0
	}
	command, names, err := parse(args)
	if err != nil {
		_, _ = fmt.Fprintf(stderr, "deckhand-probe: %v\n  see the names:  deckhand-probe list\n", err)
		return 2
	}
	d := driver{command: command, out: stdout, patienceMillis: usualPatienceMillis}
	if err := d.run(names); err != nil {
		_, _ = fmt.Fprintf(stderr, "deckhand-probe: %v\n", err)
		return 1
	}
	return 0
}

// parse reads the command line of a run.
func parse(args []string) (command string, names []string, err error) {
	for i := 1; i < len(args); i++ {
		switch value, joined := strings.CutPrefix(args[i], "--command="); {
		case joined:
			command = value
		case args[i] == "--command" && i+1 < len(args):
			i++
			command = args[i]
		case strings.HasPrefix(args[i], "-"):
			return "", nil, fmt.Errorf("unknown option %s", args[i])
		default:
			if _, ok := find(args[i]); !ok {
				return "", nil, fmt.Errorf("there is no probe %s", args[i])
			}
			names = append(names, args[i])
		}
	}
	if names == nil {
		for _, p := range probe.Probes() {
			names = append(names, p.Name)
		}
	}
	return command, names, nil
}

// try runs one probe in this process.
func try(args []string, stdout io.Writer) int {
	runtime.LockOSThread() // who one is belongs to a thread
	t, ok := find(args[0])
	if !ok {
		return 2
	}
	s := &scene{command: args[1]}
	s.fellow, _ = strconv.Atoi(args[2]) // 0 where there is none
	s.foreign, _ = strconv.Atoi(args[3])
	r := t.try(s)
	r.Probe = t.name
	line, err := json.Marshal(r)
	if err != nil {
		return 1
	}
	if _, err := stdout.Write(append(line, '\n')); err != nil {
		return 1
	}
	return 0
}
