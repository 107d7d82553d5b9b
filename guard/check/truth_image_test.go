package check_test

import (
	"testing"

	"github.com/deckhand-engine/deckhand/guard"
)

// TestTruthImage is about images, by their configuration and, where they are on this machine, their layers.
func TestTruthImage(t *testing.T) {
	truths{kind: guard.KindImage, cases: []truth{
		{"no USER", "golang:1.26", "DH001"},
		{"0", "corp/zero:1", "DH002"},
		{"root", "corp/root:1", "DH003"},
		{"an alias", "corp/toor:1", "DH004"},
		{"a number", "gcr.io/distroless/static-debian12:nonroot", ""},
		{"a reserved number", "nginxinc/nginx-unprivileged:1.27", "DH006"},
		{"a name", "registry.example.com/shop:1", "DH007"},
		{"a system's name", "corp/web:1", "DH006 DH007"},
		{"the official script", "redis:7", "DH009"},
		{"full of tools", "corp/fat:1", "DH010 DH011 DH018 DH020 DH021"},
		{"nothing but a server", "corp/slim:1", ""},
	}}.run(t)
}
