package transcript

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// session wraps a package's tests: programs are built before, the machine is compared after.
type session struct{ m *testing.M }

// Run builds the programs, runs the tests and returns their exit code.
func (s session) Run() int {
	if slices.Contains(os.Args, "-test.fuzzworker") { // it runs one fuzz target, and no script
		return s.m.Run()
	}
	dir, err := os.MkdirTemp("", "deckhand-t")
	if err == nil {
		defer func() { _ = os.RemoveAll(dir) }()
		err = prepare(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "transcript:", err)
		return 1
	}
	before := machine()
	code := s.m.Run()
	if left := settleMachine(before); len(left) > 0 {
		fmt.Fprintf(os.Stderr, "transcript: left behind on this machine:\n%s", list(left))
		return 1
	}
	return code
}

// prepare fills dir with the programs, a small root filesystem and asuser, and puts it first in PATH.
func prepare(dir string) error {
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // the ordinary user runs what is in it
		return err
	}
	root, err := moduleRoot()
	if err != nil {
		return err
	}
	build := exec.CommandContext(context.Background(), "go", "build", "-o", dir, "./cmd/...")
	build.Dir = root
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the programs: %w\n%s", err, out)
	}
	tar, err := makeBase("small")
	if err != nil {
		return err
	}
	content, err := os.ReadFile(tar)
	if err != nil {
		return err
	}
	base := filepath.Join(dir, "base.tar")
	if err := os.WriteFile(base, content, 0o644); err != nil { //nolint:gosec // the ordinary user reads it
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "asuser"), []byte(asuser), 0o755); err != nil { //nolint:gosec // a program
		return err
	}
	// testscript leaves its directory behind where only some of the scripts are run: let it be in ours.
	return errors.Join(os.Setenv("BASE_TAR", base), os.Setenv("GOTMPDIR", dir), os.Setenv("PATH", dir+":"+os.Getenv("PATH")))
}

// Base makes a root filesystem with hack/make-base, or finds it in its cache, and returns the path of its tar file.
func Base(t testing.TB, kind string) string {
	t.Helper()
	tar, err := makeBase(kind)
	if err != nil {
		t.Fatal(err)
	}
	return tar
}

// makeBase makes a root filesystem with hack/make-base, or finds it in its cache, and returns its path.
func makeBase(kind string) (string, error) {
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(context.Background(), filepath.Join(root, "hack/make-base"), kind)
	stderr := &bytes.Buffer{}
	cmd.Stderr = stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("make the %s base: %w\n%s", kind, err, stderr)
	}
	return strings.TrimSpace(string(out)), nil
}

// moduleRoot is the directory of go.mod, found upwards from the test's directory.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; dir != "/"; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
	}
	return "", errors.New("find go.mod: no module here")
}

// asuser runs a command as an ordinary user. The user is in no file of the machine: passwd, group, subuid
// and subgid are mounted over in a mount namespace of the command's own.
const asuser = `#!/bin/sh
set -eu
subids='deckhand-test:2000000:65536'
if [ "${1-}" = -no-subids ]; then subids=; shift; fi
etc=$WORK/.asuser$subids
if ! [ -d "$etc" ]; then
  new=$(mktemp -d "$WORK/.asuser-new.XXXXXX")
  { cat /etc/passwd; echo "deckhand-test:x:20000:20000::$WORK/user:/bin/sh"; } >"$new/passwd"
  { cat /etc/group; echo 'deckhand-test:x:20000:'; } >"$new/group"
  echo "$subids" >"$new/subuid"
  echo "$subids" >"$new/subgid"
  chmod 0755 "$new"
  mkdir -p "$WORK/user/tmp" "$WORK/user/run"
  chown 20000:20000 "$WORK/user" "$WORK/user/tmp" "$WORK/user/run"
  chmod 0700 "$WORK/user/run"
  mv -T "$new" "$etc" 2>/dev/null || rm -rf "$new"
fi
exec unshare --mount --propagation private sh -c '
  etc=$1; shift
  for f in passwd group subuid subgid; do
    [ -e /etc/$f ] || continue
    mount --bind "$etc/$f" /etc/$f
  done
  exec setpriv --reuid 20000 --regid 20000 --clear-groups --inh-caps=-all \
    env HOME="$WORK/user" USER=deckhand-test LOGNAME=deckhand-test TMPDIR="$WORK/user/tmp" \
    XDG_RUNTIME_DIR="$WORK/user/run" DECKHAND_DATA_ROOT="$WORK/user/data" "$@"
' asuser "$etc" "$@"
`
