package imagesource

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/deckhand-engine/deckhand/ref"
	"github.com/deckhand-engine/deckhand/registry"
)

// listJobs is how many repositories' tags are listed at once.
const listJobs = 8

// List expands a name that stands for many images; ok is false for other names. Such names are
//
//	docker://HOST/           every tag of every repository of a registry
//	docker://HOST/TEAM/      of those whose names begin with TEAM/
//	docker://HOST/REPO:*     every tag of one repository
//	docker-archive:FILE      where the archive has several images; oci: and oci-archive: likewise
//	store:                   every image of the store that has a name
//	containers-storage:      likewise of podman's
//
// A repository whose tags cannot be listed stays in the list as docker://HOST/REPO:*, which as an image is the error.
func (s *Source) List(ctx context.Context, name string) (names []string, ok bool, err error) {
	switch {
	case strings.HasPrefix(name, schemeRegistry):
		return s.listRegistry(ctx, strings.TrimPrefix(name, schemeRegistry))
	case name == schemeStore:
		names, err = s.listStore(ctx)
		return names, true, err
	case name == schemePodman:
		names, err = s.listPodman()
		return names, true, err
	}
	for _, scheme := range []string{schemeDocker, schemeLayout, schemeArchive} {
		if rest, found := strings.CutPrefix(name, scheme); found {
			names = s.listArchive(ctx, scheme, rest)
			return names, len(names) > 1, nil
		}
	}
	return nil, false, nil
}

func (s *Source) listStore(ctx context.Context) ([]string, error) {
	if s.Store == nil {
		return nil, errNoStore
	}
	images, err := s.Store.Images(ctx)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, img := range images {
		if img.Ref != (ref.Reference{}) {
			names = append(names, schemeStore+img.Ref.Familiar())
		}
	}
	return names, nil
}

func (s *Source) listRegistry(ctx context.Context, name string) (names []string, ok bool, err error) {
	repo, all := strings.CutSuffix(name, ":*")
	host, rest, found := strings.Cut(name, "/")
	if !all && (!found || rest != "" && !strings.HasSuffix(rest, "/")) {
		return nil, false, nil
	}
	if s.Offline || s.Client == nil {
		return nil, true, errOffline
	}
	if all {
		names, err = s.listRepository(ctx, repo)
	} else {
		names, err = s.listRepositories(ctx, host, rest)
	}
	return names, true, err
}

func (s *Source) listRepository(ctx context.Context, name string) ([]string, error) {
	r, err := ref.Parse(name)
	if err != nil {
		return nil, err
	}
	return s.tags(ctx, r)
}

func (s *Source) listRepositories(ctx context.Context, host, prefix string) ([]string, error) {
	if r, err := ref.Parse(host + "/x"); err != nil || r.Registry != host {
		return nil, fmt.Errorf("%q is no registry: a registry is HOST or HOST:PORT", host)
	}
	repos, err := s.Client.Repositories(ctx, host)
	if err != nil {
		return nil, err
	}
	slices.Sort(repos) // not every registry has an order
	var wanted []ref.Reference
	for _, repo := range repos {
		if r, err := ref.Parse(host + "/" + repo); err == nil && strings.HasPrefix(repo, prefix) {
			wanted = append(wanted, r)
		}
	}
	return s.allTags(ctx, wanted)
}

// allTags lists the tags of many repositories, in their order.
func (s *Source) allTags(ctx context.Context, repos []ref.Reference) ([]string, error) {
	lists := make([][]string, len(repos))
	slots := make(chan struct{}, listJobs)
	var wg sync.WaitGroup
	for i, r := range repos {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			var err error
			lists[i], err = s.tags(ctx, r)
			if err != nil && !errors.Is(err, registry.ErrNotFound) { // a repository whose images were deleted
				lists[i] = []string{schemeRegistry + r.Name() + ":*"}
			}
		})
	}
	wg.Wait()
	var names []string
	for _, l := range lists {
		names = append(names, l...)
	}
	return names, ctx.Err()
}

func (s *Source) tags(ctx context.Context, r ref.Reference) ([]string, error) {
	var tags []string
	err := s.ask(ctx, r.Registry, func(ctx context.Context) (err error) {
		tags, err = s.Client.Tags(ctx, r)
		return err
	})
	if err != nil {
		return nil, err
	}
	slices.Sort(tags)
	names := make([]string, len(tags))
	for i, tag := range tags {
		names[i] = schemeRegistry + r.Name() + ":" + tag
	}
	return names, nil
}
