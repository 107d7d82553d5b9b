package proof_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/deckhand-engine/deckhand/guard/profile"
	"github.com/deckhand-engine/deckhand/guard/proof"
)

func TestCommands(t *testing.T) {
	p := &proof.Proof{
		Name: "redis", Context: "my redis",
		Profile: profile.Profile{
			User: "9000:9000", Ports: []string{"6379/tcp", "53/udp"},
			Volumes: []profile.Volume{{Path: "/var/lib/redis", Name: "redis-data"}},
		},
	}
	want := []string{
		"deckhand build -t redis:hardened -f 'the proof/Dockerfile' 'my redis'",
		"deckhand run --rm --profile 'the proof' -v redis-data:/var/lib/redis -p 127.0.0.1:6379:6379 -p 127.0.0.1:53:53/udp redis:hardened",
	}
	if d := cmp.Diff(want, p.Commands("the proof")); d != "" {
		t.Error(d)
	}
}
