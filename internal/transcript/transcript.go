// Package transcript runs testscript transcripts against the real programs.
//
// A transcript is a txtar file of commands and what they must print. It starts the two programs as a user
// would, since they execute themselves again to start a container. Each script has its own data root, and
// fails when a process or a mount of that data root outlives it.
//
// Environment of a script:
//
//	DECKHAND_DATA_ROOT  $WORK/data
//	HOME                $WORK/home
//	MODULE              the module's directory, to read from
//	BASE_TAR            the small root filesystem: busybox, users root, app (1000) and nobody, 2 MB
//
// Commands, besides those of testscript:
//
//	exits N cmd [arg...]       runs cmd and requires exit code N; stdout and stderr follow as after exec
//	waitfor DURATION cmd ...   runs cmd again and again until it succeeds, for at most DURATION
//	base REF                   imports the small root filesystem
//	debian REF                 imports a real Debian system with apt
//	registry [USER:PASSWORD]   starts an empty registry on loopback and sets $REGISTRY to its address
//	need root|userns|PROGRAM…  skips by name, or fails under DECKHAND_TEST_STRICT=1
//	[!] leakcheck              requires that nothing (something) of this data root runs or is mounted; run at
//	                           the end of every script by itself
//
// Programs in PATH (usable after exec, exits, waitfor):
//
//	pty [-after TEXT] cmd ...      runs cmd on a terminal of its own (24x80): its stdin, once the output
//	                               holds TEXT, is typed there; what the terminal shows is stdout
//	asuser [-no-subids] cmd ...    runs cmd as an ordinary user (uid 20000, home $WORK/user) who has 65,536
//	                               subordinate ids, or none; BASE_TAR is readable to that user
package transcript

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/deckhand-engine/deckhand/internal/need"
)

// UserID is the uid and gid that asuser takes.
const UserID = 20000

// Main is for TestMain: it builds the programs, runs the tests and exits.
func Main(m *testing.M) {
	testscript.Main(session{m}, map[string]func(){"pty": ptyMain})
}

// Run runs the scripts of dir, each in its own subtest.
func Run(t *testing.T, dir string) {
	testscript.Run(t, testscript.Params{
		Dir:                 dir,
		Setup:               setup,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       os.Getenv("UPDATE") == "1",
		Deadline:            time.Now().Add(timeLimit), //nolint:forbidigo // a test's clock
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":     cmdExits,
			"waitfor":   cmdWaitfor,
			"base":      cmdBase,
			"debian":    cmdDebian,
			"need":      cmdNeed,
			"leakcheck": cmdLeakcheck,
			"registry":  cmdRegistry,
		},
	})
}

// timeLimit is for all scripts of a directory together: a command that hangs ends then, and its script fails.
const timeLimit = 5 * time.Minute

// testKey finds the running test in a script's values.
type testKey struct{}

func setup(env *testscript.Env) error {
	t, ok := env.T().(testing.TB)
	if !ok {
		return errors.New("find the script's test: not run by go test")
	}
	env.Values[testKey{}] = t
	// The ordinary user of asuser has to get at its home.
	if err := os.Chmod(filepath.Dir(env.WorkDir), 0o711); err != nil { //nolint:gosec // search permission only
		return err
	}
	home, user := filepath.Join(env.WorkDir, "home"), filepath.Join(env.WorkDir, "user")
	for _, dir := range []string{home, user} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	if os.Geteuid() == 0 {
		if err := os.Chown(user, UserID, UserID); err != nil {
			return err
		}
	}
	env.Setenv("GOTMPDIR", "")
	env.Setenv("HOME", home)
	env.Setenv("DECKHAND_DATA_ROOT", filepath.Join(env.WorkDir, "data"))
	root, err := moduleRoot()
	if err != nil {
		return err
	}
	env.Setenv("MODULE", root)
	env.Setenv("BASE_TAR", os.Getenv("BASE_TAR"))
	env.Defer(func() {
		if left := settle(env.WorkDir); len(left) > 0 {
			t.Errorf("left behind:\n%s", list(left))
			clear(env.WorkDir)
		}
	})
	return nil
}

func cmdExits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits N cmd [arg...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("run %s: %v", args[1], err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

func cmdWaitfor(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: waitfor DURATION cmd [arg...]")
	}
	limit, err := time.ParseDuration(args[0])
	ts.Check(err)
	for end := time.Now().Add(limit); ; time.Sleep(50 * time.Millisecond) { //nolint:forbidigo // a test's clock
		err := ts.Exec(args[1], args[2:]...)
		if err == nil {
			return
		}
		if time.Now().After(end) { //nolint:forbidigo // a test's clock
			ts.Fatalf("no success within %s: %v", limit, err)
		}
	}
}

func cmdBase(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: base REF")
	}
	ts.Check(ts.Exec("deckhand", "import", ts.Getenv("BASE_TAR"), args[0]))
}

func cmdDebian(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: debian REF")
	}
	tar, err := makeBase("debian")
	ts.Check(err)
	ts.Check(ts.Exec("deckhand", "import", tar, args[0]))
}

func cmdNeed(ts *testscript.TestScript, neg bool, args []string) {
	t, ok := ts.Value(testKey{}).(testing.TB)
	if neg || !ok || len(args) == 0 {
		ts.Fatalf("usage: need root|userns|PROGRAM...")
	}
	for _, what := range args {
		switch what {
		case "root":
			need.Root(t)
		case "userns":
			need.Userns(t)
		default:
			need.Program(t, what)
		}
	}
}

func cmdLeakcheck(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 0 {
		ts.Fatalf("usage: [!] leakcheck")
	}
	work := ts.Getenv("WORK")
	if neg {
		if len(owned(work)) == 0 {
			ts.Fatalf("nothing of this data root runs or is mounted")
		}
		return
	}
	if left := settle(work); len(left) > 0 {
		ts.Fatalf("left behind:\n%s", list(left))
	}
}

func list(lines []string) string {
	return "  " + strings.Join(lines, "\n  ") + "\n"
}
