package runtime

import "testing"

func TestStart(t *testing.T) {
	newBox(t, "guest", "echo", "ahoy").want("ahoy")
}

func TestInit(t *testing.T) {
	b := newBox(t, "guest", "cat", "/proc/1/cmdline")
	b.o.Init = true
	if r := b.run(); r.Code != 0 || r.out[:13] != "deckhand-init" {
		t.Errorf("%+v", r)
	}
}
