// Package imagesource finds images for checks, wherever they are: in the store, in a registry, in an archive, an OCI
// layout, podman's storage; and containers of the store.
//
// A name says where to look:
//
//	redis:7, ghcr.io/corp/app@sha256:…, 0123456789ab   the store, then the registry
//	docker://REF                                       the registry only
//	store:REF                                          the store only
//	docker-archive:FILE[:REF]                          what `docker save` and `deckhand save` write
//	oci:DIR[:TAG], oci-archive:FILE[:TAG]              an OCI image layout, as it is or in a tar
//	containers-storage:REF                             what podman and buildah keep
//
// Nothing is stored, nothing is unpacked to disk: layers are read as streams, and verified to their end. Nothing of
// what an image says is trusted with memory or time without bound.
package imagesource

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/internal/flight"
	"github.com/deckhand-engine/deckhand/internal/store"
	"github.com/deckhand-engine/deckhand/registry"
)

// Options are where a [Source] looks for images. The zero value is of use: for archives, layouts and podman's images.
type Options struct {
	Store   *store.Store     // nil: none
	Client  *registry.Client // nil: registries are not asked
	Offline bool             // registries are not asked
	// Platform is the image to take of several in the store, an archive or a layout; zero: the Client's, else this
	// machine's. In a registry the Client's counts.
	Platform v1.Platform
	// Layers allows fetching the layers of remote images for every purpose, not only to resolve a user's name.
	Layers bool
	// Podman are the directories that podman keeps images in; nil: those of the system and of the user.
	Podman []string

	// AnswerTime is how long a registry may take to say what an image is; 0: half a minute. One that has not answered
	// a few times is asked no more.
	AnswerTime time.Duration
}

// Source finds images. It remembers what it found, and what it did not, and may be used by several goroutines.
type Source struct {
	Options // not changed

	images   flight.Group[*guard.Image]
	patience patience
}

var _ guard.Images = (*Source)(nil)

// New is a source that has found nothing yet.
func New(o Options) *Source {
	return &Source{Options: o, images: flight.Group[*guard.Image]{Most: maxRemembered}}
}

// maxRemembered is how many images are remembered: all base images of a large code base, not a whole registry.
const maxRemembered = 512

// The schemes of names.
const (
	schemeRegistry = "docker://"
	schemeStore    = "store:"
	schemeDocker   = "docker-archive:"
	schemeLayout   = "oci:"
	schemeArchive  = "oci-archive:"
	schemePodman   = "containers-storage:"
	schemeDaemon   = "docker-daemon:"
)

// Image implements guard.Images.
func (s *Source) Image(ctx context.Context, name string) (*guard.Image, error) {
	return s.images.Do(ctx, name, func() (*guard.Image, error) {
		img, err := s.find(ctx, name)
		if err != nil {
			return nil, err
		}
		img.Name = name
		return img, nil
	})
}

func (s *Source) find(ctx context.Context, name string) (*guard.Image, error) {
	for _, p := range []struct {
		scheme string
		find   func(*Source, context.Context, string) (*guard.Image, error)
	}{
		{schemeRegistry, (*Source).remote},
		{schemeStore, (*Source).stored},
		{schemeDocker, (*Source).dockerArchive},
		{schemeLayout, (*Source).layout},
		{schemeArchive, (*Source).layoutArchive},
		{schemePodman, (*Source).podman},
		{schemeDaemon, (*Source).daemon},
	} {
		if rest, ok := strings.CutPrefix(name, p.scheme); ok {
			return p.find(s, ctx, rest)
		}
	}
	return s.anywhere(ctx, name)
}

func (*Source) daemon(_ context.Context, name string) (*guard.Image, error) {
	return nil, fmt.Errorf("docker's daemon is not asked; hand the image over:  docker save -o app.tar %s, then name docker-archive:app.tar", name)
}

// anywhere looks in the store, then in the registry.
func (s *Source) anywhere(ctx context.Context, name string) (*guard.Image, error) {
	if s.Store != nil {
		img, err := s.stored(ctx, name)
		if err == nil || !errors.Is(err, store.ErrNotFound) && !errors.Is(err, errOtherPlatform) {
			return img, err
		}
	}
	if s.Offline || s.Client == nil {
		return nil, errors.New("it is not in the store, and no registry was asked")
	}
	return s.remote(ctx, name)
}

func (s *Source) platform() v1.Platform {
	if s.Platform.OS == "" && s.Client != nil {
		return s.Client.Platform
	}
	return s.Platform
}
