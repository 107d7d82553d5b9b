package bundle

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

func newRoot(t *testing.T) *Root {
	t.Helper()
	return &Root{Dir: filepath.Join(t.TempDir(), "a/b"), Now: time.Now, Warn: func(err error) { t.Errorf("warning: %v", err) }}
}

// TestClaimOnce: of many who want an id at once, one gets it.
func TestClaimOnce(t *testing.T) {
	r := newRoot(t)
	for range 50 {
		var won atomic.Int32
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				c, l, err := r.claim(t.Context(), "x")
				if errors.Is(err, ErrExist) {
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
				won.Add(1)
				c.record = record{ID: "x", Phase: phaseMade}
				if err := c.write(); err != nil {
					t.Error(err)
				}
				l.release()
			})
		}
		wg.Wait()
		if n := won.Load(); n != 1 {
			t.Fatalf("%d have it", n)
		}
		c, err := r.Open("x")
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Delete(t.Context(), false); err != nil {
			t.Fatal(err)
		}
	}
}

// TestDeleteOnce: of many who delete a container at once, one does, and the others find none.
func TestDeleteOnce(t *testing.T) {
	r := newRoot(t)
	for range 50 {
		c, l, err := r.claim(t.Context(), "x")
		if err != nil {
			t.Fatal(err)
		}
		c.record = record{ID: "x", Phase: phaseMade}
		if err := c.write(); err != nil {
			t.Fatal(err)
		}
		l.release()
		var won atomic.Int32
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				c, err := r.Open("x")
				if err == nil {
					err = c.Delete(t.Context(), false)
				}
				if err == nil {
					won.Add(1)
				} else if !errors.Is(err, ErrNotExist) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n := won.Load(); n != 1 {
			t.Fatalf("%d deleted it", n)
		}
	}
	if all, err := r.List(); err != nil || len(all) != 0 {
		t.Errorf("left: %v, %v", all, err)
	}
}

// TestLeftByKilled clears what a creator leaves that is killed at any point before it is done.
func TestLeftByKilled(t *testing.T) {
	for name, leave := range map[string]func(*testing.T, *Container){
		"nothing yet": func(*testing.T, *Container) {},
		"half a config": func(t *testing.T, c *Container) {
			t.Helper()
			if err := os.WriteFile(c.path(configName), []byte(`{"ociVersion"`), 0o600); err != nil {
				t.Fatal(err)
			}
			c.root.Warn = func(error) {} // says that no hook is called
		},
		"a process": func(t *testing.T, c *Container) {
			t.Helper()
			cmd := exec.CommandContext(t.Context(), "sleep", "1000")
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- cmd.Wait() }()
			t.Cleanup(func() {
				if err := <-ended; err == nil {
					t.Error("the process was left alone")
				}
			})
			c.record = record{ID: "x", Phase: phaseCreating}
			if err := c.attach(cmd.Process.Pid); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			for how, clear := range map[string]func(*Root) error{
				"delete": func(r *Root) error {
					c, err := r.Open("x")
					if err != nil {
						return err
					}
					if s := c.State(); s.Status != specs.StateStopped {
						t.Errorf("status %s", s.Status)
					}
					return c.Delete(t.Context(), false)
				},
				"create": func(r *Root) error {
					c, l, err := r.claim(t.Context(), "x")
					if err != nil {
						return err
					}
					l.release()
					return c.Delete(t.Context(), true)
				},
			} {
				t.Run(how, func(t *testing.T) {
					r := newRoot(t)
					c, l, err := r.claim(t.Context(), "x")
					if err != nil {
						t.Fatal(err)
					}
					leave(t, c)
					if status := c.Status(); status != specs.StateCreating {
						t.Errorf("in the making its status is %s", status)
					}
					l.release()
					if err := clear(r); err != nil {
						t.Fatal(err)
					}
					if entries, err := os.ReadDir(r.Dir); err != nil || len(entries) != 0 {
						t.Errorf("left: %v, %v", entries, err)
					}
				})
			}
		})
	}
}

func TestOpenMissing(t *testing.T) {
	r := newRoot(t)
	if _, err := r.Open("x"); !errors.Is(err, ErrNotExist) {
		t.Errorf("error %v", err)
	}
	if all, err := r.List(); err != nil || len(all) != 0 {
		t.Errorf("%v, %v", all, err)
	}
	if _, err := r.Open("../x"); !errors.Is(err, ErrBadID) {
		t.Errorf("error %v", err)
	}
}

// TestForeignRecord: a file that is not this container's record is no container.
func TestForeignRecord(t *testing.T) {
	for name, content := range map[string]string{"no JSON": "{", "another's": `{"id":"y"}`} {
		r := newRoot(t)
		_, l, err := r.claim(t.Context(), "x")
		if err != nil {
			t.Fatal(err)
		}
		l.release()
		if err := os.WriteFile(filepath.Join(r.Dir, "x", recordName), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Open("x"); err == nil {
			t.Errorf("%s: it was opened", name)
		}
	}
}

func TestAlive(t *testing.T) {
	self, err := findProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "true")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	zombie, err := findProcess(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	var info unix.Siginfo
	if err := unix.Waitid(unix.P_PID, cmd.Process.Pid, &info, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		p    process
		want bool
	}{
		"this":               {self, true},
		"its pid, another's": {process{self.Pid, self.StartTicks + 1}, false},
		"zombie":             {zombie, false},
		"none":               {process{}, false},
		"negative":           {process{Pid: -1}, false},
	} {
		if got := tt.p.alive(); got != tt.want {
			t.Errorf("%s: alive %v, want %v", name, got, tt.want)
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if zombie.alive() {
		t.Error("reaped, it is alive")
	}
}
