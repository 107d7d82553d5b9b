package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/pflag"

	"github.com/deckhand-engine/deckhand/guard/profile"
	"github.com/deckhand-engine/deckhand/internal/engine"
	"github.com/deckhand-engine/deckhand/internal/hint"
	"github.com/deckhand-engine/deckhand/internal/store"
)

// profileDecides are the flags of run that say what a profile says.
func profileDecides() []string {
	return []string{"user", "group-add", "cap-add", "cap-drop", "security-opt", "sysctl"}
}

// loadProfile reads what --profile names, and refuses flags that contradict it.
func (o *runOptions) loadProfile(f *pflag.FlagSet) error {
	if o.profileDir == "" {
		if f.Changed("profile") {
			return hint.With(errors.New("--profile names no directory"), "the one that holds "+profile.FileName+":  deckhand run --profile DIR IMAGE")
		}
		return nil
	}
	dir, err := filepath.Abs(o.profileDir)
	if err != nil {
		return err
	}
	if st, err := os.Stat(dir); err == nil && st.Mode().IsRegular() && filepath.Base(dir) == profile.FileName {
		dir = filepath.Dir(dir) // the file itself was named
	}
	p, err := profile.Load(dir)
	if err != nil {
		return explainProfile(err, o.profileDir)
	}
	for _, name := range profileDecides() {
		if f.Changed(name) {
			return hint.With(fmt.Errorf("--%s contradicts --profile %s, which says exactly what the container gets", name, o.profileDir),
				"edit "+filepath.Join(o.profileDir, profile.FileName)+", or leave one of the two out")
		}
	}
	if f.Changed("read-only") && o.readOnly == p.ReadWrite {
		return hint.With(fmt.Errorf("--read-only=%t contradicts --profile %s, whose readWrite is %t", o.readOnly, o.profileDir, p.ReadWrite),
			"leave --read-only out")
	}
	o.profile, o.profileDir = p, dir
	return nil
}

// explainProfile says what to do about a profile that cannot be used.
func explainProfile(err error, dir string) error {
	if errors.Is(err, fs.ErrNotExist) {
		return hint.With(err, "a directory that holds "+profile.FileName+" is needed:  deckhand run --profile DIR IMAGE")
	}
	if e, ok := errors.AsType[*profile.Error](err); ok {
		hints := []string{"what it may say:  docs/profile.md"}
		if e.Hint != "" {
			hints = append([]string{e.Hint}, hints...)
		}
		return hint.With(fmt.Errorf("the profile in %s cannot be obeyed: %w", dir, err), hints...)
	}
	return err
}

// obeyProfile changes the container's configuration to what the profile says, if there is one.
func (a *app) obeyProfile(o *runOptions, cfg *engine.Config, img *store.Image, name string) error {
	if o.profile == nil {
		return nil
	}
	filter, err := o.profile.Filter(o.profileDir)
	if err != nil {
		return err
	}
	if err := cfg.Obey(o.profile, filter); err != nil {
		return err
	}
	cfg.Profile = o.profileDir
	if id := o.profile.ImageID; id != "" && id != img.ID.String() {
		a.note("deckhand: warning: the profile in %s was proven for another image than %s: %s", o.profileDir, name, shortID(id))
	}
	return nil
}
