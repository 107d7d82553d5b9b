package store

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/internal/need"
)

// crashRoot names the store on which a child of TestKilledAnywhere works until it is killed.
const crashRoot = "STORE_TEST_CRASH_ROOT"

// A process killed at any moment leaves nothing half-visible, and the next one works.
func TestKilledAnywhere(t *testing.T) {
	if root := os.Getenv(crashRoot); root != "" {
		workUntilKilled(t, root)
		return
	}
	rounds := 30
	if testing.Short() {
		rounds = 5
	}
	root := t.TempDir() + "/root"
	for round := range rounds {
		killOne(t, root)
		s := openAt(t, root)
		if _, err := s.DeadContainers(); err != nil { // as every command does when it starts
			t.Fatal(err)
		}
		mustBeSound(t, s)
		images, err := s.Images(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, img := range images {
			if img.Config.Author != "" {
				t.Errorf("an image of a trial is listed: %s", img.Name())
			}
			for _, id := range imageLayers(t, s, img) {
				if got := readLayer(t, s, id, "end"); got != "end" {
					t.Errorf("layer %s of %s is not whole", id, img.Name())
				}
			}
		}
		for _, name := range volumeNames(t, s) {
			if b, err := os.ReadFile(s.path(volumesDir, name, volumeFile)); err != nil || !bytes.HasSuffix(b, []byte("}")) {
				t.Errorf("volume %s: %q, %v", name, b, err)
			}
			if st, err := os.Stat(s.VolumeDir(name)); err != nil || st.Mode().Perm() != 0o755 {
				t.Errorf("volume %s: %v", name, err)
			}
		}
		importAs(t, s, "after", "f", strings.Repeat("f", round), "end", "end")
		if t.Failed() {
			t.Fatalf("in round %d", round)
		}
	}
}

func killOne(t *testing.T, root string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^TestKilledAnywhere$")
	cmd.Env = append(os.Environ(), crashRoot+"="+root)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil || line != "working\n" {
		t.Errorf("the child says %q, %v", line, err)
	}
	time.Sleep(time.Duration(rand.IntN(60_000)) * time.Microsecond)
	if err := cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != -1 {
		t.Fatalf("the child was to work until killed, but: %v\n%s", err, &stderr)
	}
}

// workUntilKilled does everything that writes, over and over.
func workUntilKilled(t *testing.T, root string) {
	s := openAt(t, root)
	if _, err := os.Stdout.WriteString("working\n"); err != nil {
		t.Fatal(err)
	}
	for i := 0; ; i++ {
		content := strings.Repeat("content", 20_000+i)
		base := importAs(t, s, "base", "f", content, "sub/g", content, "end", "end")
		app := tag(t, s, "app", build(t, s, base, "f", content, "end", "end"))
		c := &Container{Name: "web", Layers: imageLayers(t, s, app)}
		if old, err := s.Container("web"); err == nil {
			if err := s.RemoveContainer(old.ID); err != nil {
				t.Fatal(err)
			}
		}
		lock, err := s.CreateContainer(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		makeVolumes(t, s)
		makeTrial(t, s, base)
		archive := save(t, s, base, app)
		err = errors.Join(s.SetState(c.ID, State{Status: StatusRunning}), s.GC(t.Context()))
		if err == nil {
			_, err = s.RemoveImage(t.Context(), "app", true)
		}
		if err == nil {
			_, err = s.Load(t.Context(), bytes.NewReader(archive))
		}
		if err != nil {
			t.Fatal(err)
		}
		lock.Unlock()
	}
}

// makeTrial makes an image of a trial and removes it.
func makeTrial(t *testing.T, s *Store, base *Image) {
	t.Helper()
	trials := openTrials(t, s)
	buildFor(t, partner(t, trials), base, "trial")
	if err := trials.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// makeVolumes makes and removes a volume, and makes one without a name.
func makeVolumes(t *testing.T, s *Store) {
	t.Helper()
	for range 2 {
		if err := s.CreateVolume(&Volume{Name: "data", Labels: map[string]string{"some": "label"}}); err != nil {
			t.Fatal(err)
		}
		files, err := s.TakeVolume("data")
		if err == nil {
			err = files.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := s.CreateVolume(&Volume{}); err != nil {
		t.Fatal(err)
	}
}

// A full disk fails with a clear error and leaves nothing behind.
func TestDiskFull(t *testing.T) {
	need.Root(t)
	mount := t.TempDir()
	if err := unix.Mount("tmpfs", mount, "tmpfs", 0, "size=4m,mode=0700"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(mount, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	s := openAt(t, mount+"/root")
	importAs(t, s, "small", "f", "1")
	free := freeBlocks(t, mount)
	big := strings.Repeat("0123456789abcdef", 3<<16) // 3 MB: fits once, not twice
	packed := pack(t, tarOf(t, "f", big, "g", big), "gzip")
	elsewhere := openTest(t)
	archive := save(t, elsewhere, importAs(t, elsewhere, "big", "f", big))
	for name, write := range map[string]func(context.Context) error{
		"blob": func(ctx context.Context) error {
			_, err := s.PutBlob(ctx, strings.NewReader(big+big), blobOf(big+big))
			return err
		},
		"import": func(ctx context.Context) error {
			_, err := s.Import(ctx, bytes.NewReader(tarOf(t, "f", big)), dockerspec.DockerOCIImage{})
			return err
		},
		"import of a small archive": func(ctx context.Context) error {
			_, err := s.Import(ctx, bytes.NewReader(packed), dockerspec.DockerOCIImage{})
			return err
		},
		"load": func(ctx context.Context) error {
			_, err := s.Load(ctx, bytes.NewReader(archive))
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			wantError(t, write(t.Context()), unix.ENOSPC, "no space left on device")
			if now := freeBlocks(t, mount); now < free {
				t.Errorf("%d blocks free, before %d", now, free)
			}
			mustBeSound(t, s)
		})
	}
	importAs(t, s, "another", "f", "2")
	mustBeSound(t, s)
}

func freeBlocks(t *testing.T, path string) uint64 {
	t.Helper()
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		t.Fatal(err)
	}
	return st.Bfree
}

// In a user namespace with a single id, what cannot be is left out and the image works.
func TestSingleIDMode(t *testing.T) {
	const child = "STORE_TEST_SINGLE_ID_ROOT"
	if root := os.Getenv(child); root != "" {
		singleID(t, root)
		return
	}
	need.Userns(t)
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^TestSingleIDMode$", "-test.v")
	cmd.Env = append(os.Environ(), child+"="+t.TempDir())
	cmd.SysProcAttr = singleIDNamespace()
	if out, err := cmd.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("--- PASS")) {
		t.Fatalf("%v\n%s", err, out)
	}
}
