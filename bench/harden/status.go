package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/deckhand-engine/deckhand/guard/profile"
	"github.com/deckhand-engine/deckhand/internal/linux/caps"
)

// seccompFilter is the mode of a process with a filter, in its status file.
const seccompFilter = "2"

// audit looks at all processes of the container whose first process is named, from outside, and says what they have
// beyond the profile.
func audit(proc fs.FS, pid int, p *profile.Profile) error {
	first := strconv.Itoa(pid)
	if err := auditRoot(proc, first, p); err != nil {
		return err
	}
	pids, err := members(proc, first)
	if err != nil {
		return err
	}
	for _, pid := range pids {
		fields, err := status(proc, pid)
		if errors.Is(err, fs.ErrNotExist) {
			continue // it has ended meanwhile
		}
		if err == nil {
			err = auditStatus(fields, p)
		}
		if err != nil {
			return fmt.Errorf("process %s: %w", pid, err)
		}
	}
	return nil
}

// members are the processes in the pid namespace of the first.
func members(proc fs.FS, first string) ([]string, error) {
	namespace, err := fs.ReadLink(proc, first+"/ns/pid")
	if err != nil {
		return nil, err
	}
	entries, err := fs.ReadDir(proc, ".")
	if err != nil {
		return nil, err
	}
	var pids []string
	for _, e := range entries {
		if strings.Trim(e.Name(), "0123456789") != "" {
			continue
		}
		if got, err := fs.ReadLink(proc, e.Name()+"/ns/pid"); err == nil && got == namespace {
			pids = append(pids, e.Name())
		}
	}
	if len(pids) == 0 {
		return nil, fmt.Errorf("process %s: its pid namespace has no process", first)
	}
	return pids, nil
}

// status are the fields of a process's status file, its ids as the container sees them.
func status(proc fs.FS, pid string) (map[string]string, error) {
	content, err := fs.ReadFile(proc, pid+"/status")
	if err != nil {
		return nil, err
	}
	fields := map[string]string{}
	for line := range bytes.Lines(content) {
		if name, value, ok := bytes.Cut(line, []byte(":")); ok {
			fields[string(name)] = string(bytes.TrimSpace(value))
		}
	}
	for name, file := range map[string]string{"Uid": "/uid_map", "Gid": "/gid_map"} {
		idMap, err := fs.ReadFile(proc, pid+file)
		if err != nil {
			return nil, err
		}
		if fields[name], err = inside(fields[name], string(idMap)); err != nil {
			return nil, err
		}
	}
	return fields, nil
}

// inside translates ids of the machine into those of a user namespace, whose map has lines of "INSIDE OUTSIDE COUNT".
// An id that the map lacks becomes "?".
func inside(ids, idMap string) (string, error) {
	var translated []string
	for id := range strings.FieldsSeq(ids) {
		outside, err := strconv.ParseUint(id, 10, 32)
		if err != nil {
			return "", fmt.Errorf("read an id: %w", err)
		}
		found := "?"
		for line := range strings.Lines(idMap) {
			var in, out, count uint64
			if _, err := fmt.Sscan(line, &in, &out, &count); err != nil {
				return "", fmt.Errorf("read the map of ids %q: %w", line, err)
			}
			if outside >= out && outside-out < count {
				found = strconv.FormatUint(in+outside-out, 10)
			}
		}
		translated = append(translated, found)
	}
	return strings.Join(translated, " "), nil
}

// auditStatus compares one process with the profile.
func auditStatus(fields map[string]string, p *profile.Profile) error {
	if err := auditCapabilities(fields, p.Capabilities); err != nil {
		return err
	}
	if !p.Escalates && fields["NoNewPrivs"] != "1" {
		return fmt.Errorf("NoNewPrivs is %q", fields["NoNewPrivs"])
	}
	if fields["Seccomp"] != seccompFilter {
		return fmt.Errorf("the mode of Seccomp is %q, not a filter", fields["Seccomp"])
	}
	uid, gid, _ := strings.Cut(p.User, ":")
	if uid == "0" {
		return nil // it may become anybody
	}
	for _, field := range []struct{ name, want string }{{"Uid", uid}, {"Gid", gid}} {
		for id := range strings.FieldsSeq(fields[field.name]) {
			if field.want != "" && id != field.want {
				return fmt.Errorf("%s is %s instead of %s", field.name, fields[field.name], field.want)
			}
		}
	}
	return nil
}

// auditCapabilities says which set has more than the profile.
func auditCapabilities(fields map[string]string, capabilities []string) error {
	allowed, err := caps.Mask(capabilities)
	if err != nil {
		return err
	}
	for _, set := range []string{"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"} {
		mask, err := strconv.ParseUint(fields[set], 16, 64)
		if err != nil {
			return fmt.Errorf("read %s: %w", set, err)
		}
		if beyond := mask &^ allowed; beyond != 0 {
			return fmt.Errorf("%s has %#x, which the profile does not", set, beyond)
		}
	}
	return nil
}

// auditRoot says whether the container's root can be written to though the profile does not say so.
func auditRoot(proc fs.FS, pid string, p *profile.Profile) error {
	content, err := fs.ReadFile(proc, pid+"/mountinfo")
	if err != nil {
		return err
	}
	// The last mount at a place is the one that is seen.
	options := ""
	for lines := bufio.NewScanner(bytes.NewReader(content)); lines.Scan(); {
		if fields := strings.Fields(lines.Text()); len(fields) > 5 && path.Clean(fields[4]) == "/" {
			options = fields[5]
		}
	}
	if !p.ReadWrite && !slices.Contains(strings.Split(options, ","), "ro") {
		return fmt.Errorf("the root is mounted %q", options)
	}
	return nil
}

// proc is the machine's.
func proc() fs.FS { return os.DirFS("/proc") }
