package store

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
)

// FindRoot is the data root as an absolute path: named, or DECKHAND_DATA_ROOT, or for the real root user
// /var/lib/deckhand and for an ordinary user a directory below XDG_DATA_HOME.
func FindRoot(named string, realRoot bool) (string, error) {
	abs, err := filepath.Abs(cmp.Or(named, os.Getenv("DECKHAND_DATA_ROOT"), defaultRoot(realRoot)))
	if err != nil {
		return "", fmt.Errorf("resolve data root: %w", err)
	}
	return abs, nil
}

func defaultRoot(realRoot bool) string {
	if realRoot {
		return "/var/lib/deckhand"
	}
	if d := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(d) {
		return filepath.Join(d, "deckhand")
	}
	return filepath.Join(os.Getenv("HOME"), ".local", "share", "deckhand")
}
