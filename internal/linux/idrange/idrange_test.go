package idrange

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

func testPool(t *testing.T, count uint32) *pool {
	t.Helper()
	return &pool{dir: filepath.Join(t.TempDir(), "a", "ids"), first: 1 << 20, count: count}
}

func TestAcquireAll(t *testing.T) {
	p := testPool(t, 4)
	held := map[uint32]*Range{}
	for i := range 4 {
		r, err := p.acquire("same id")
		if err != nil {
			t.Fatal(err)
		}
		if held[r.HostBase] != nil {
			t.Fatalf("range %d given out twice", r.HostBase)
		}
		if r.HostBase < 1<<20 || r.HostBase >= 1<<20+4*Size || r.HostBase%Size != 0 {
			t.Errorf("range %d of acquire %d is not in the pool", r.HostBase, i)
		}
		held[r.HostBase] = r
	}
	if _, err := p.acquire("x"); !errors.Is(err, ErrExhausted) {
		t.Errorf("%v, want ErrExhausted", err)
	}
	for _, r := range held {
		r.Release()
		r.Release() // twice does no harm
	}
	if err := p.sweep(); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(p.dir)
	if err != nil || len(left) != 0 {
		t.Errorf("released ranges left %d files (%v)", len(left), err)
	}
}

// TestAcquireParallel has ranges change hands all the time: no two may hold the same at once.
func TestAcquireParallel(t *testing.T) {
	p := testPool(t, 8)
	var mu sync.Mutex
	inUse := map[uint32]bool{}
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := range 200 {
				r, err := p.acquire(fmt.Sprint(worker, i))
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				if inUse[r.HostBase] {
					t.Errorf("range %d is held twice", r.HostBase)
				}
				inUse[r.HostBase] = true
				mu.Unlock()
				mu.Lock()
				delete(inUse, r.HostBase)
				mu.Unlock()
				r.Release()
				if i%10 == 0 {
					if err := p.sweep(); err != nil { // files vanish between open and lock
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
}

func TestSweep(t *testing.T) {
	p := testPool(t, 4)
	live, err := p.acquire("live")
	if err != nil {
		t.Fatal(err)
	}
	defer live.Release()
	stale := filepath.Join(p.dir, "stale")
	if err := os.WriteFile(stale, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := p.sweep(); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(p.dir)
	if err != nil || len(left) != 1 || left[0].Name() != filepath.Base(live.lock.Name()) {
		t.Errorf("sweep left %v (%v), want the live range only", left, err)
	}
}

// TestStaleReused takes a range whose holder died without a trace but its file.
func TestStaleReused(t *testing.T) {
	p := testPool(t, 1)
	r, err := p.acquire("a")
	if err != nil {
		t.Fatal(err)
	}
	_ = r.lock.Close() // as the kernel does for the dead
	again, err := p.acquire("b")
	if err != nil {
		t.Fatal(err)
	}
	again.Release()
}

func TestReadSubid(t *testing.T) {
	tests := map[string]struct {
		text         string
		first, count uint32
	}{
		"empty":        {},
		"others only":  {text: "alice:100000:65536\n"},
		"ours":         {text: "alice:100000:65536\ndeckhand:200000:131072\n", first: 200000, count: 131072},
		"malformed":    {text: "deckhand:x:65536\ndeckhand:1\n"},
		"past 32 bits": {text: "deckhand:4294967000:65536\n"},
		"from root":    {text: "deckhand:0:65536\n"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "subuid")
			if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			first, count, err := readSubid(path)
			if err != nil || first != tt.first || count != tt.count {
				t.Errorf("%d, %d, %v, want %d, %d", first, count, err, tt.first, tt.count)
			}
		})
	}
	if _, n, err := readSubid(filepath.Join(t.TempDir(), "missing")); n != 0 || err != nil {
		t.Errorf("missing file: %d, %v", n, err)
	}
}

func FuzzParseSubid(f *testing.F) {
	f.Add("deckhand:200000:65536")
	f.Add("deckhand:0:0")
	f.Fuzz(func(t *testing.T, line string) {
		first, count, ok := parseSubid(line)
		if ok && (first == 0 || uint64(first)+uint64(count) > 1<<32-1) {
			t.Errorf("%q gives %d+%d", line, first, count)
		}
	})
}
