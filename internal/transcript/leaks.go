package transcript

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// settleTime is how long a dying process and its mounts may take to be gone.
const settleTime = 10 * time.Second

// settle waits until nothing of the directory work is running or mounted; it returns what still is.
func settle(work string) []string {
	for end := time.Now().Add(settleTime); ; time.Sleep(50 * time.Millisecond) { //nolint:forbidigo // a test's clock
		left := owned(work)
		if len(left) == 0 || time.Now().After(end) { //nolint:forbidigo // a test's clock
			return left
		}
	}
}

// owned lists the processes that belong to work, and its mounts in our own mount namespace.
func owned(work string) []string {
	var found []string
	for _, pid := range pids() {
		if why := mentions(pid, work); why != "" {
			found = append(found, "process "+strconv.Itoa(pid)+" ("+commandLine(pid)+"): "+why)
		}
	}
	for _, mount := range mountsNaming("self", work) {
		found = append(found, "mount "+mount)
	}
	return found
}

// mentions says how another process belongs to work: the script started it, or it is in a mount namespace of
// its own with a mount from there. Its arguments do not count: a pager may be looking at a file.
func mentions(pid int, work string) string {
	if pid == os.Getpid() {
		return ""
	}
	dir := strconv.Itoa(pid)
	env, err := os.ReadFile("/proc/" + dir + "/environ")
	if err == nil && strings.Contains("\x00"+string(env), "\x00WORK="+work+"\x00") {
		return "started by the script"
	}
	if err == nil && strings.Contains("\x00"+string(env), "\x00WORK=") {
		return "" // another script's: it saw what was mounted when it made its namespace
	}
	if mountNamespace(dir) == mountNamespace("self") {
		return ""
	}
	for _, mount := range mountsNaming(dir, work) {
		return "sees the mount " + mount
	}
	return ""
}

// mountsNaming returns the mounts a process (a directory below /proc) sees whose line names a path below work.
func mountsNaming(process, work string) []string {
	mounts, err := os.ReadFile("/proc/" + process + "/mountinfo")
	if err != nil {
		return nil // it has gone
	}
	var found []string
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, work+"/") {
			found = append(found, strings.TrimSpace(line))
		}
	}
	return found
}

func mountNamespace(process string) string {
	name, err := os.Readlink("/proc/" + process + "/ns/mnt")
	if err != nil {
		return "" // it has gone
	}
	return name
}

// clear ends what owned lists, so that a failed script does not spoil the next.
func clear(work string) {
	var groups []string
	for _, pid := range pids() {
		if mentions(pid, work) != "" {
			groups = append(groups, cgroup(pid))
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended by itself
		}
	}
	mounts := mountsNaming("self", work)
	slices.Reverse(mounts)
	for _, line := range mounts {
		if f := strings.Fields(line); len(f) > 4 {
			_ = syscall.Unmount(f[4], syscall.MNT_DETACH) // reported already
		}
	}
	settle(work) // nothing more can be done about what stays
	for _, group := range groups {
		if group != "" {
			_ = os.Remove(group) // the next deckhand would do it too
		}
	}
}

// cgroup is the directory of a container's process, "" for any other.
func cgroup(pid int) string {
	content, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cgroup") // it may have gone
	for line := range strings.Lines(string(content)) {
		_, path, ok := strings.Cut(strings.TrimSpace(line), "0::/deckhand/")
		if !ok {
			continue
		}
		for _, mount := range []string{"/sys/fs/cgroup/unified", "/sys/fs/cgroup"} {
			if dir := mount + "/deckhand/" + path; isDir(dir) {
				return dir
			}
		}
	}
	return ""
}

func isDir(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.IsDir()
}

func pids() []int {
	entries, _ := os.ReadDir("/proc") // always there
	var found []int
	for _, entry := range entries {
		if pid, err := strconv.Atoi(entry.Name()); err == nil {
			found = append(found, pid)
		}
	}
	return found
}

func commandLine(pid int) string {
	line, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
	return strings.TrimSpace(strings.ReplaceAll(string(line), "\x00", " "))
}

// machine lists what deckhand makes outside its data root: cgroups and network interfaces.
func machine() []string {
	var found []string
	for _, pattern := range []string{"/sys/fs/cgroup/deckhand/*", "/sys/fs/cgroup/*/deckhand/*"} {
		groups, _ := filepath.Glob(pattern) // the pattern is well formed
		for _, group := range groups {
			if isDir(group) {
				found = append(found, "cgroup "+group)
			}
		}
	}
	links, err := os.ReadDir("/sys/class/net")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		found = append(found, err.Error())
	}
	for _, link := range links {
		if strings.HasPrefix(link.Name(), "veth") || strings.HasPrefix(link.Name(), "dh") {
			found = append(found, "network interface "+link.Name())
		}
	}
	return append(found, hostMounts()...)
}

// hostMounts lists the overlay mounts of our own mount namespace: a run or a build must add none.
func hostMounts() []string {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return []string{err.Error()}
	}
	var found []string
	for line := range strings.Lines(string(mounts)) {
		if f := strings.Fields(line); len(f) > 4 && strings.Contains(line, " - overlay ") {
			found = append(found, "mount "+f[4])
		}
	}
	return found
}

// settleMachine waits until everything that was not there before is gone; it returns what stays. What
// tests of other packages make at the same time goes away again, what is left behind does not.
func settleMachine(before []string) []string {
	var left []string
	for _, item := range machine() {
		if !slices.Contains(before, item) {
			left = append(left, item)
		}
	}
	for end := time.Now().Add(2 * settleTime); len(left) > 0; time.Sleep(100 * time.Millisecond) { //nolint:forbidigo // a test's clock
		now := machine()
		left = slices.DeleteFunc(left, func(item string) bool { return !slices.Contains(now, item) })
		if time.Now().After(end) { //nolint:forbidigo // a test's clock
			break
		}
	}
	return left
}
