package idrange

import (
	"errors"
	"os"
	"testing"
)

// TestInherit: a range that two share is nobody else's until both have let go.
func TestInherit(t *testing.T) {
	p := testPool(t, 1)
	first, err := p.acquire("a")
	if err != nil {
		t.Fatal(err)
	}
	second, err := p.inherit(os.Getpid(), first.HostBase)
	if err != nil {
		t.Fatal(err)
	}
	if second.HostBase != first.HostBase {
		t.Errorf("inherited %d of %d", second.HostBase, first.HostBase)
	}
	first.Release()
	if _, err := p.acquire("b"); !errors.Is(err, ErrExhausted) {
		t.Errorf("the range was given to another: %v", err)
	}
	second.Release()
	third, err := p.acquire("b")
	if err != nil {
		t.Fatal(err)
	}
	third.Release()
}

func TestInheritNothing(t *testing.T) {
	p := testPool(t, 2)
	if _, err := p.inherit(os.Getpid(), p.first); !errors.Is(err, ErrNotHeld) {
		t.Errorf("a range that nobody holds: %v", err)
	}
	for _, base := range []uint32{0, p.first + 1} {
		if _, err := p.inherit(os.Getpid(), base); err == nil {
			t.Errorf("%d begins no range", base)
		}
	}
}
