package proof_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/deckhand-engine/deckhand/guard/proof"
)

// recorder is a program that prints its arguments, a line each.
const recorder = "#!/bin/sh\nprintf '%s\\n' \"$@\"\n"

// play runs a script, in a directory whose name has to be quoted, with recorders for deckhand and docker.
func play(t *testing.T, script []byte, args ...string) (dir string, words []string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "a $b 'c'")
	programs := filepath.Join(dir, "programs")
	if err := os.MkdirAll(programs, 0o755); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, proof.RunName)
	for name, content := range map[string][]byte{
		name: script, filepath.Join(programs, "deckhand"): []byte(recorder), filepath.Join(programs, "docker"): []byte(recorder),
	} {
		if err := os.WriteFile(name, content, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(name, args...)
	cmd.Env = []string{"PATH=" + programs + ":" + os.Getenv("PATH"), "HOME=/home", "X=x", "CDPATH=/tmp"}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, out, script)
	}
	return dir, strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
}

// spelledOut is the line of the script's comment that begins so, as a script.
func spelledOut(t *testing.T, script []byte, begin string) []byte {
	t.Helper()
	for line := range strings.Lines(string(script)) {
		if line, ok := strings.CutPrefix(line, "#   "); ok && strings.HasPrefix(line, begin) {
			return []byte("#!/bin/sh\n" + line)
		}
	}
	t.Fatalf("no %q in:\n%s", begin, script)
	return nil
}

func TestScript(t *testing.T) {
	script := files(t, sample())[proof.RunName]
	dir, got := play(t, script, "-d", "--name", "my redis")
	want := []string{
		"run", "--profile", dir, "-v", "redis-data:/var/lib/redis", "-p", "127.0.0.1:6379:6379",
		"-d", "--name", "my redis", "redis:hardened",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for engine, filter := range map[string]string{"deckhand": "seccomp.json", "docker": "seccomp-runc.json"} {
		_, got := play(t, spelledOut(t, script, engine+" run -u"))
		want := []string{
			"run", "-u", "9000:9000", "--read-only", "--cap-drop", "ALL",
			"--security-opt", "no-new-privileges", "--security-opt", "seccomp=DIR/" + filter,
			"--sysctl", "net.ipv4.ip_unprivileged_port_start=1024",
			"--tmpfs", "/run/redis:mode=0755,uid=9000,gid=9000", "--tmpfs", "/tmp:mode=1777,uid=9000,gid=9000",
			"-v", "redis-data:/var/lib/redis", "-p", "127.0.0.1:6379:6379", "redis:hardened",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: -want +got:\n%s", engine, diff)
		}
	}
}

// TestScriptOfRoot gives what the profile gives, and no more.
func TestScriptOfRoot(t *testing.T) {
	_, got := play(t, spelledOut(t, files(t, irreducible())[proof.RunName], "deckhand run -u"))
	want := []string{
		"run", "-u", "0:0", "--cap-drop", "ALL", "--cap-add", "SETGID", "--cap-add", "SETUID",
		"--security-opt", "no-new-privileges=false",
		"--sysctl", "net.core.somaxconn=1024", "--sysctl", "net.ipv4.ip_unprivileged_port_start=1024",
		"-v", "cron-var-spool-cron:/var/spool/cron", "cron:hardened",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestHostileScript has a real shell read names that were chosen to do harm: nothing but the engine is run.
func TestHostileScript(t *testing.T) {
	p := hostile()
	script := files(t, p)[proof.RunName]
	dir, got := play(t, script)
	long := "a-b-c-home-x-y-script-alert-1-s-long-long-long-long-long-long-l"
	want := []string{
		"run", "--profile", dir, "-v", "a-b-c-home-x-y-script-alert-1-s-v-x-y-z:" + p.Profile.Volumes[0].Path,
		"-v", "null:/data", "-v", "null-2:/other", "-v", long + ":" + p.Profile.Volumes[4].Path,
		"-v", long[:len(long)-2] + "-2:" + p.Profile.Volumes[5].Path,
		"-p", "127.0.0.1:80:80", "-p", "127.0.0.1:80:80/udp", "-p", "127.0.0.1:443:443/sctp",
	}
	if diff := cmp.Diff(want, got[:len(got)-1]); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for _, line := range []string{"deckhand build", "deckhand run -u", "docker run"} {
		_, got := play(t, spelledOut(t, script, line))
		if got[0] != strings.Fields(line)[1] {
			t.Errorf("%s has become %q", line, got)
		}
	}
	for line := range strings.Lines(string(script)) {
		if strings.ContainsAny(strings.TrimSuffix(line, "\n"), "\x00\x1b\u2028\u202e") {
			t.Errorf("a line of the script hides something: %q", line)
		}
	}
}
