package cli

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/deckhand-engine/deckhand/internal/engine"
	"github.com/deckhand-engine/deckhand/internal/network"
)

func TestModes(t *testing.T) {
	tests := map[string]struct {
		opts    modeOptions
		network string
		want    engine.Modes
		err     string
	}{
		"none":         {},
		"private":      {opts: modeOptions{"private", "private", "private", "private", "private"}, network: "private"},
		"auto":         {opts: modeOptions{userns: "auto"}},
		"host":         {opts: modeOptions{"host", "host", "host", "host", "host"}, network: "host", want: engine.Modes{PID: "host", IPC: "host", UTS: "host", User: "host", Cgroup: "host"}},
		"a container":  {opts: modeOptions{"container:a", "container:a", "container:a", "container:a", "container:a"}, network: "container:a", want: engine.Modes{Network: "container:a", PID: "container:a", IPC: "container:a", UTS: "container:a", User: "container:a", Cgroup: "container:a"}},
		"shareable":    {opts: modeOptions{ipc: "shareable"}, want: engine.Modes{IPC: "shareable"}},
		"no IPC":       {opts: modeOptions{ipc: "none"}, want: engine.Modes{IPC: "none"}},
		"no PID":       {opts: modeOptions{pid: "none"}, err: `invalid --pid mode: "none"`},
		"unknown":      {opts: modeOptions{uts: "theirs"}, err: `invalid --uts mode: "theirs"`},
		"nobody":       {opts: modeOptions{cgroupns: "container:"}, err: `invalid --cgroupns "container:": a container's name or id goes after the colon`},
		"no network":   {network: "container:", err: `invalid --network "container:": a container's name or id goes after the colon`},
		"auto's":       {opts: modeOptions{userns: "auto:size=9"}, err: "--userns auto:size=9 cannot be had: auto takes no options here, a container's ids are 0-65535"},
		"keep-id":      {opts: modeOptions{userns: "keep-id:uid=9"}, err: "--userns keep-id:uid=9 cannot be had: an image's files have the owners that the image says, and an ordinary user may not have them shifted by an idmapped mount"},
		"nomap":        {opts: modeOptions{userns: "nomap"}, err: "--userns nomap cannot be had: an image's files have the owners that the image says, and an ordinary user may not have them shifted by an idmapped mount"},
		"unknown user": {opts: modeOptions{userns: "theirs"}, err: `invalid --userns mode: "theirs"`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := tt.opts.modes(tt.network)
			if text(err) != tt.err {
				t.Fatalf("error %q, want %q", text(err), tt.err)
			}
			if diff := cmp.Diff(tt.want, got); err == nil && diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestCheckModes(t *testing.T) {
	tests := map[string]struct {
		opts  runOptions
		modes engine.Modes
		err   string
	}{
		"nothing shared":   {opts: runOptions{hostname: "h", init: true}},
		"hostname and UTS": {opts: runOptions{hostname: "h"}, modes: engine.Modes{UTS: "host"}, err: "conflicting options: hostname and the UTS mode"},
		"hostname":         {opts: runOptions{hostname: "h"}, modes: engine.Modes{Network: "container:a"}, err: "conflicting options: hostname and the network mode"},
		"ports":            {opts: runOptions{publish: []string{"80"}}, modes: engine.Modes{Network: "container:a"}, err: "conflicting options: port publishing and the container type network mode"},
		"dns":              {opts: runOptions{names: nameOptions{search: []string{"a"}}}, modes: engine.Modes{Network: "container:a"}, err: "conflicting options: dns and the network mode"},
		"hosts":            {opts: runOptions{names: nameOptions{hosts: []string{"a:::1"}}}, modes: engine.Modes{Network: "container:a"}, err: "conflicting options: custom host-to-IP mapping and the network mode"},
		"shm of the host":  {opts: runOptions{process: processOptions{shm: 1}}, modes: engine.Modes{IPC: "host"}, err: "conflicting options: shm-size and the IPC mode"},
		"no shm":           {opts: runOptions{process: processOptions{shm: 1}}, modes: engine.Modes{IPC: "none"}, err: "conflicting options: shm-size and the IPC mode"},
		"shareable":        {opts: runOptions{process: processOptions{shm: 1}}, modes: engine.Modes{IPC: "shareable"}},
		"init":             {opts: runOptions{init: true}, modes: engine.Modes{PID: "host"}, err: "conflicting options: init and the PID mode: it is not the first process there"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if err := tt.opts.checkModes(tt.modes); text(err) != tt.err {
				t.Errorf("error %q, want %q", text(err), tt.err)
			}
		})
	}
}

func TestOwnNetwork(t *testing.T) {
	for value, want := range map[string]network.Mode{"container:x": network.None, "none": network.None, "host": network.Host} {
		if got, err := ownNetwork(value); err != nil || got != want {
			t.Errorf("%s: %v, %v", value, got, err)
		}
	}
	private, err := ownNetwork("private")
	if byDefault, _ := ownNetwork(""); err != nil || private != byDefault {
		t.Errorf("private: %v, %v", private, err)
	}
	if _, err := ownNetwork("mine"); text(err) != "network mine not found" {
		t.Errorf("error %v", err)
	}
}

func TestRelabel(t *testing.T) {
	process, file := "", ""
	for i, part := range []string{"u", "r", "t", "s0:c1,c2", "f"} {
		process, file = relabel(process, file, i, part)
	}
	if process != "u:r:t:s0:c1,c2" || file != "system_u:object_r:f:s0:c1,c2" {
		t.Errorf("%s, %s", process, file)
	}
}
