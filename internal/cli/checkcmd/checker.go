package checkcmd

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/check"
	"github.com/deckhand-engine/deckhand/internal/imagesource"
	"github.com/deckhand-engine/deckhand/internal/linux/rootless"
	"github.com/deckhand-engine/deckhand/internal/store"
	"github.com/deckhand-engine/deckhand/internal/version"
	"github.com/deckhand-engine/deckhand/registry"
)

// checker joins what a check needs: places to look for images, and the policy that holds at the argument first.
func (o *options) checker(std files, first string) (*check.Checker, error) {
	s, err := o.store(std)
	if err != nil {
		return nil, err
	}
	client := &registry.Client{Insecure: !o.tlsVerify, UserAgent: "deckhand/" + version.Number()}
	if o.platform != "" {
		if client.Platform, err = registry.ParsePlatform(o.platform); err != nil {
			return nil, &usageError{err}
		}
	}
	p, err := o.findPolicy(first)
	if err != nil {
		return nil, err
	}
	source := imagesource.New(imagesource.Options{Store: s, Client: client, Offline: o.offline, Layers: o.layers})
	c := &check.Checker{
		Env:        guard.Env{Images: source, Args: guard.BuildArgs(o.buildArgs, os.LookupEnv), Target: o.target},
		Policy:     p,
		Texts:      o.texts,
		Containers: source,
		List:       source.List,
	}
	return c, nil
}

// store opens the store, if there is one. A check makes none.
func (o *options) store(std files) (*store.Store, error) {
	root, err := store.FindRoot(o.dataRoot, os.Geteuid() == 0 && !rootless.Inside())
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(root); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	s, err := store.Open(root, store.Options{Rootless: rootless.Inside(), SingleID: rootless.SingleID(), Log: o.log(std.err)})
	if err != nil {
		return nil, fmt.Errorf("open the store: %w", err)
	}
	return s, nil
}
