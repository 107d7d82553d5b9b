package rules

import (
	"path"
	"strings"

	"github.com/deckhand-engine/deckhand/guard"
)

func hostDevice() Rule {
	return Rule{
		ID: "DH029", Name: "host-device", Severity: guard.Warning, Check: checkHostDevice,
		Title: "A device of the host is given to the container",
	}
}

func checkHostDevice(s *guard.Subject, _ guard.Settings) []guard.Finding {
	var found []guard.Finding
	for _, g := range s.GrantsOf(guard.GrantDevice) {
		name := strings.TrimPrefix(path.Clean(g.Value), "/dev/")
		if everywhere(name) {
			continue
		}
		f := guard.Finding{Message: "gets the host's device " + short(g.Value), Where: g.Where}
		if use := deviceUse(name); use != "" {
			f.Severity, f.Message = guard.Error, f.Message+": "+use
		}
		found = append(found, f)
	}
	return found
}

// everywhere reports whether every container has the device anyway.
func everywhere(name string) bool {
	switch name {
	case "null", "zero", "full", "random", "urandom", "tty":
		return true
	}
	return false
}

// deviceUse says what a device that is as good as the host is good for; empty: it is not one of these.
func deviceUse(name string) string {
	switch name {
	case "all", "/dev", ".":
		return "disks and memory of the host among them"
	case "mem", "kmem", "port":
		return "it reads and writes the host's memory"
	}
	for _, disk := range []string{"sd", "hd", "vd", "xvd", "nvme", "mmcblk", "dm-", "mapper/", "md", "loop", "disk/"} {
		if strings.HasPrefix(name, disk) {
			return "who reads and writes a disk needs no file permissions"
		}
	}
	return ""
}
