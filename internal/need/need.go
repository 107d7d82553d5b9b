// Package need lets a test say what it requires of the machine.
//
// A test whose requirement is not met is skipped with the reason, or fails when
// DECKHAND_TEST_STRICT=1 is set, as continuous integration does: there a skip would hide a test.
package need

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// Root requires real root: uid 0 in a user namespace that maps every id.
func Root(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		unmet(t, "root")
		return
	}
	uidMap, err := os.ReadFile("/proc/self/uid_map")
	if err != nil {
		unmet(t, "a readable /proc/self/uid_map: "+err.Error())
		return
	}
	if f := strings.Fields(string(uidMap)); len(f) != 3 || f[0] != "0" || f[1] != "0" {
		unmet(t, "root of the initial user namespace")
	}
}

// Userns requires that this process may make a user namespace.
func Userns(t testing.TB) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^$")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER}
	if err := cmd.Start(); err != nil {
		unmet(t, "user namespaces: "+err.Error())
		return
	}
	_ = cmd.Process.Kill() // that it could be started was the question
	_ = cmd.Wait()
}

// Program requires that each of the named programs is in PATH.
func Program(t testing.TB, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := exec.LookPath(name); err != nil {
			unmet(t, "the program "+name)
		}
	}
}

// unmet skips the test, or fails it in strict mode.
func unmet(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("DECKHAND_TEST_STRICT") == "1" {
		t.Fatalf("needs %s (DECKHAND_TEST_STRICT=1 forbids skipping)", what)
	}
	t.Skipf("needs %s", what)
}
