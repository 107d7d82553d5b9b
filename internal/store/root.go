package store

import (
	"os"
	"path/filepath"
)

// DefaultRoot is the data root where none was named: /var/lib/deckhand for the real root user, for an
// ordinary user a directory below XDG_DATA_HOME.
func DefaultRoot(realRoot bool) string {
	if realRoot {
		return "/var/lib/deckhand"
	}
	if d := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(d) {
		return filepath.Join(d, "deckhand")
	}
	return filepath.Join(os.Getenv("HOME"), ".local", "share", "deckhand")
}
