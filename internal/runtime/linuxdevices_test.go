package runtime

import (
	"errors"
	"os"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func device(path, typ string, major, minor int64) specs.LinuxDevice {
	return specs.LinuxDevice{Path: path, Type: typ, Major: major, Minor: minor}
}

// owned gives a device a mode and an owner.
func owned(d specs.LinuxDevice, mode os.FileMode, uid, gid uint32) specs.LinuxDevice {
	d.FileMode, d.UID, d.GID = &mode, &uid, &gid
	return d
}

// TestLinuxDevices has every kind of node, with and without a user namespace.
func TestLinuxDevices(t *testing.T) {
	for name, user := range map[string]bool{"user namespace": true, "host's users": false} {
		t.Run(name, func(t *testing.T) {
			b := newBox(t, "guest", "stat", "/dev/one", "/dev/sub/two", "/dev/three", "/dev/pipe")
			if !user {
				b.leave(specs.UserNamespace)
			}
			b.o.Spec.Linux.Devices = []specs.LinuxDevice{
				device("/dev/one", "c", 1, 5), owned(device("/dev/sub/two", "b", 7, 300), 0o640, 7, 8),
				owned(device("/dev/three", "u", 1, 3), 0o600, userID, userID), owned(device("/dev/pipe", "p", 0, 0), 0o660, 7, 8),
				device("/dev/null", "c", 1, 3),
			}
			b.want("one 20666 0:0\ntwo 60640 7:8\nthree 20600 9000:9000\npipe 10660 7:8")
			b = newBox(t, "guest", "write", "/dev/mine", "x") // /dev/full would say no
			if !user {
				b.leave(specs.UserNamespace)
			}
			b.o.Spec.Linux.Devices = []specs.LinuxDevice{device("/dev/mine", "c", 1, 3), device("/dev/filled", "c", 1, 7)}
			b.want("")
			b.o.Spec.Process.Args, b.o.Stdio = []string{"guest", "reopen", "/dev/filled", "x"}, Stdio{}
			if r := b.run(); r.Code != 1 || !strings.Contains(r.err, "no space left") {
				t.Errorf("/dev/full by another name: %+v", r)
			}
		})
	}
}

// TestLinuxDevicesErrors names what is wrong with a device.
func TestLinuxDevicesErrors(t *testing.T) {
	tests := map[string]struct {
		device specs.LinuxDevice
		want   string
		host   bool // without a user namespace
	}{
		"type":        {device: device("/dev/x", "q", 1, 3), want: "unknown type"},
		"number":      {device: device("/dev/x", "c", -1, 3), want: "there is no device"},
		"path":        {device: device("", "c", 1, 3), want: "no path"},
		"uid":         {device: owned(device("/dev/x", "c", 1, 3), 0o666, 70000, 0), want: "uid 70000 is not mapped"},
		"other file":  {device: device("/etc/passwd", "c", 1, 3), want: "there is another file", host: true},
		"nodev":       {device: device("/home/x", "c", 1, 3), want: "nodev", host: true},
		"another one": {device: device("/dev/zero", "c", 1, 3), want: "there is another file", host: true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			b := newBox(t, "guest")
			if tt.host {
				b.leave(specs.UserNamespace)
			}
			b.o.Spec.Linux.Devices = []specs.LinuxDevice{tt.device}
			if _, err := b.try(t.Context()); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %s", err, tt.want)
			}
		})
	}
}

// TestHostNode is what remains where no node can be made: the host's, if it is what was asked for.
func TestHostNode(t *testing.T) {
	newBox(t, "guest") // only root may clone mounts
	d := device("/dev/null", "c", 1, 3)
	p := &preparer{ids: &ids{}}
	node, err := p.deviceNode(&d)
	if err != nil {
		t.Fatal(err)
	}
	f, err := hostNode(&d, node)
	if err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
	var unsupported *UnsupportedError
	strict := owned(d, 0o600, 0, 0)
	if node, err = p.deviceNode(&strict); err != nil {
		t.Fatal(err)
	}
	if _, err := hostNode(&strict, node); !errors.As(err, &unsupported) {
		t.Errorf("another mode: %v", err)
	}
	other := device("/dev/zero", "c", 1, 3)
	if node, err = p.deviceNode(&other); err != nil {
		t.Fatal(err)
	}
	if _, err := hostNode(&other, node); err == nil || !strings.Contains(err.Error(), "another device") {
		t.Errorf("another device: %v", err)
	}
}
