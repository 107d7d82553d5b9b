package cli

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/pflag"

	"github.com/deckhand-engine/deckhand/guard/profile"
	"github.com/deckhand-engine/deckhand/internal/engine"
	"github.com/deckhand-engine/deckhand/internal/hint"
	"github.com/deckhand-engine/deckhand/internal/store"
)

// profileDecides are the flags of run that say what a profile says.
func profileDecides() []string {
	return []string{"user", "group-add", "cap-add", "cap-drop", "security-opt", "sysctl", "privileged", "device"}
}

// loadProfile reads what --profile names, and refuses flags that contradict it.
func (o *runOptions) loadProfile(f *pflag.FlagSet) error {
	if !f.Changed("profile") {
		return nil
	}
	p, dir, err := profile.Named(o.profileDir, "deckhand run --profile DIR IMAGE")
	if err != nil {
		return err
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
	if o.init && p.Seccomp != "" {
		return hint.With(fmt.Errorf("--init contradicts --profile %s: its filter allows what the command needs, and the init would be held to it", o.profileDir),
			"leave --init out")
	}
	o.profile, o.profileDir = p, dir
	return nil
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
