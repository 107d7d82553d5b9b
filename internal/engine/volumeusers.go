package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/deckhand-engine/deckhand/internal/store"
)

// recordContainer keeps a volume that the container names from being removed before the record is seen.
func (e *Engine) recordContainer(ctx context.Context, rec *store.Container, cfg *Config) (*store.ContainerLock, error) {
	if len(cfg.Named) > 0 {
		guard, err := e.Store.LockVolumes(ctx, false)
		if err != nil {
			return nil, err
		}
		defer guard.Unlock()
	}
	return e.Store.CreateContainer(ctx, rec)
}

// VolumeUsers are the containers, running or not, that have each volume, by the volume's name.
func (e *Engine) VolumeUsers() (map[string][]*store.Container, error) {
	all, err := e.Store.Containers()
	if err != nil {
		return nil, err
	}
	users := map[string][]*store.Container{}
	for _, c := range slices.Backward(all) {
		cfg, err := ConfigOf(c)
		if err != nil {
			return nil, err
		}
		for _, n := range cfg.Named {
			if have := users[n.Name]; len(have) == 0 || have[len(have)-1] != c {
				users[n.Name] = append(have, c)
			}
		}
	}
	return users, nil
}

// VolumeInUseError is a volume that containers have.
type VolumeInUseError struct {
	Name  string
	Users []*store.Container
}

// Error is docker's message, without what was to be done.
func (e *VolumeInUseError) Error() string {
	ids := make([]string, len(e.Users))
	for i, c := range e.Users {
		ids[i] = c.ID
	}
	return "volume is in use - [" + strings.Join(ids, ", ") + "]"
}

// Unwrap is store.ErrInUse.
func (e *VolumeInUseError) Unwrap() error { return store.ErrInUse }

// RemoveVolume removes a volume that no container has; a *VolumeInUseError otherwise, store.ErrNotFound.
func (e *Engine) RemoveVolume(ctx context.Context, name string) error {
	guard, err := e.Store.LockVolumes(ctx, true)
	if err != nil {
		return err
	}
	defer guard.Unlock()
	users, err := e.VolumeUsers()
	if err != nil {
		return err
	}
	if len(users[name]) > 0 {
		return fmt.Errorf("remove %s: %w", name, &VolumeInUseError{Name: name, Users: users[name]})
	}
	files, err := e.Store.TakeVolume(name)
	guard.Unlock() // removing the files may take long
	if err != nil {
		return err
	}
	return files.Close()
}
