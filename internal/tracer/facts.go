package tracer

import (
	"bytes"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/guard/observe"
)

// idMap is a user namespace's uid_map: container ids for ours.
type idMap []idSpan

type idSpan struct{ inside, outside, count uint32 }

// readIDMap reads the map of a process's user namespace.
func readIDMap(pid int) (idMap, error) {
	b, err := os.ReadFile(procPath(pid, "uid_map"))
	if err != nil {
		return nil, err
	}
	return parseIDMap(string(b)), nil
}

func parseIDMap(s string) idMap {
	var m idMap
	for line := range strings.Lines(s) {
		var n [3]uint32
		fields := strings.Fields(line)
		if len(fields) != len(n) {
			continue
		}
		for i, f := range fields {
			v, _ := strconv.ParseUint(f, 10, 32) // the kernel writes numbers
			n[i] = uint32(v)
		}
		m = append(m, idSpan{n[0], n[1], n[2]})
	}
	return m
}

// overflowID is what the kernel shows for an id that has no place in a namespace.
const overflowID = 65534

func (m idMap) inside(id uint32) uint32 {
	for _, s := range m {
		if id >= s.outside && id-s.outside < s.count {
			return s.inside + (id - s.outside)
		}
	}
	return overflowID
}

// readProcess reads who a task is. ok: it was there to be read.
func readProcess(tid int, ids idMap) (p observe.Process, ok bool) {
	b, err := os.ReadFile(procPath(tid, "status"))
	if err != nil {
		return observe.Process{PID: tid}, false
	}
	p = parseStatus(b, ids)
	p.Exe, ok = readLink(tid, "exe")
	return p, ok
}

// parseStatus reads the lines of /proc/PID/status that we want.
func parseStatus(b []byte, ids idMap) observe.Process {
	var p observe.Process
	for line := range bytes.Lines(b) {
		key, value, _ := bytes.Cut(line, []byte(":"))
		switch string(key) {
		case "Name":
			p.Comm = unescape(string(bytes.TrimSuffix(bytes.TrimPrefix(value, []byte("\t")), []byte("\n"))))
		case "Tgid":
			p.PID = atoi(bytes.TrimSpace(value))
		case "PPid":
			p.Parent = atoi(bytes.TrimSpace(value))
		case "Uid": // real, effective, saved, of the file system
			if f := bytes.Fields(value); len(f) == 4 {
				p.UID = ids.inside(uint32(atoi(f[1]))) //nolint:gosec // an id
			}
			return p
		}
	}
	return p
}

// isFirst reports whether a process is the first of its pid namespace.
func isFirst(status []byte) bool {
	pids := bytes.Fields(statusField(status, "NSpid"))
	return len(pids) > 0 && string(pids[len(pids)-1]) == "1"
}

// tracerOf reads who traces a task.
func tracerOf(status []byte) int {
	return atoi(bytes.TrimSpace(statusField(status, "TracerPid")))
}

// statusField is what follows a name in /proc/PID/status.
func statusField(status []byte, name string) []byte {
	for line := range bytes.Lines(status) {
		if key, value, _ := bytes.Cut(line, []byte(":")); string(key) == name {
			return value
		}
	}
	return nil
}

func atoi(b []byte) int {
	n, _ := strconv.Atoi(string(b)) // the kernel writes numbers
	return n
}

// unescape undoes what the kernel does to a newline and a backslash in a name.
func unescape(s string) string {
	return strings.NewReplacer(`\n`, "\n", `\\`, `\`).Replace(s)
}

func procPath(pid int, name string) string { return "/proc/" + strconv.Itoa(pid) + "/" + name }

const deletedMark = " (deleted)"

// readLink reads a link of /proc/PID: a path seen from the root of the process's mount namespace, which is the
// container's, since the kernel finds no way from there to our own root. ok: there is such a link.
func readLink(pid int, name string) (path string, ok bool) {
	var buf [maxPathBytes]byte
	n, err := unix.Readlink(procPath(pid, name), buf[:])
	if err != nil {
		return "", false
	}
	path = string(buf[:n])
	if strings.HasSuffix(path, deletedMark) {
		// The mark, or the end of the file's own name?
		var st unix.Stat_t
		if unix.Lstat(procPath(pid, "root")+path, &st) != nil {
			path = strings.TrimSuffix(path, deletedMark)
		}
	}
	return path, true
}
