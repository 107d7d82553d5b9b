package cli

import (
	"context"
	"fmt"
	"slices"
	"time"

	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/deckhand-engine/deckhand/internal/store"
)

// imageReport is an image as docker inspect shows it.
type imageReport struct {
	ID            string         `json:"Id"`
	RepoTags      []string       `json:"RepoTags"`
	RepoDigests   []string       `json:"RepoDigests"`
	Parent        string         `json:"Parent"`
	Comment       string         `json:"Comment"`
	Created       string         `json:"Created"`
	DockerVersion string         `json:"DockerVersion"`
	Author        string         `json:"Author"`
	Config        configReport   `json:"Config"`
	Architecture  string         `json:"Architecture"`
	Variant       string         `json:"Variant,omitempty"`
	OS            string         `json:"Os"`
	OSVersion     string         `json:"OsVersion,omitempty"`
	Size          int64          `json:"Size"`
	RootFS        rootFSReport   `json:"RootFS"`
	Metadata      metadataReport `json:"Metadata"`
	Descriptor    v1.Descriptor  `json:"Descriptor"`
}

// configReport is the Config of an image or a container. Docker writes every name, also of empty values.
type configReport struct {
	Hostname     string                        `json:"Hostname"`
	User         string                        `json:"User"`
	ExposedPorts map[string]struct{}           `json:"ExposedPorts,omitempty"`
	Tty          bool                          `json:"Tty"`
	OpenStdin    bool                          `json:"OpenStdin"`
	Env          []string                      `json:"Env"`
	Cmd          []string                      `json:"Cmd"`
	Healthcheck  *dockerspec.HealthcheckConfig `json:"Healthcheck,omitempty"`
	ArgsEscaped  bool                          `json:"ArgsEscaped,omitempty"`
	Image        string                        `json:"Image"`
	Volumes      map[string]struct{}           `json:"Volumes"`
	WorkingDir   string                        `json:"WorkingDir"`
	Entrypoint   []string                      `json:"Entrypoint"`
	OnBuild      []string                      `json:"OnBuild"`
	Labels       map[string]string             `json:"Labels"`
	StopSignal   string                        `json:"StopSignal,omitempty"`
	Shell        []string                      `json:"Shell,omitempty"`
}

type rootFSReport struct {
	Type   string          `json:"Type"`
	Layers []digest.Digest `json:"Layers"`
}

type metadataReport struct {
	LastTagTime string `json:"LastTagTime"`
}

func inspectImage(ctx context.Context, s *store.Store, img *store.Image) (*imageReport, error) {
	all, err := s.Images(ctx)
	if err != nil {
		return nil, fmt.Errorf("list images: %w", err)
	}
	c := img.Config
	r := &imageReport{
		ID: img.ID.String(), Author: c.Author, Config: imageConfig(c.Config),
		Architecture: c.Architecture, Variant: c.Variant, OS: c.OS, OSVersion: c.OSVersion,
		Size: imageSize(s, img), RootFS: rootFSReport{c.RootFS.Type, c.RootFS.DiffIDs},
		Metadata: metadataReport{dockerTime(img.Tagged)}, Descriptor: img.Target,
		Created: dockerTime(createdAt(img)),
	}
	if n := len(c.History); n > 0 {
		r.Comment = c.History[n-1].Comment
	}
	r.RepoTags, r.RepoDigests = imageNames(all, img.ID)
	return r, nil
}

// imageNames are all names of an image: with their tags, and with the manifest's digest.
func imageNames(all []*store.Image, id digest.Digest) (tags, digests []string) {
	tags, digests = []string{}, []string{}
	for _, img := range all {
		if img.ID != id || img.Ref.Repository == "" {
			continue
		}
		if img.Ref.Tag != "" {
			tags = append(tags, repositoryName(img)+":"+img.Ref.Tag)
		}
		for _, d := range []digest.Digest{img.Target.Digest, img.Ref.Digest} { // a reference may name the image by an index
			if name := repositoryName(img) + "@" + d.String(); d != "" && !slices.Contains(digests, name) {
				digests = append(digests, name)
			}
		}
	}
	slices.Sort(tags)
	slices.Sort(digests)
	return tags, digests
}

func imageConfig(c dockerspec.DockerOCIImageConfig) configReport {
	return configReport{
		User: c.User, ExposedPorts: c.ExposedPorts, Env: c.Env, Cmd: c.Cmd, Healthcheck: c.Healthcheck,
		ArgsEscaped: c.ArgsEscaped, //nolint:staticcheck // shown where an image has it
		Volumes:     c.Volumes, WorkingDir: c.WorkingDir, Entrypoint: c.Entrypoint, OnBuild: c.OnBuild,
		Labels: c.Labels, StopSignal: c.StopSignal, Shell: c.Shell,
	}
}

// dockerTime is a time in docker's JSON; the zero time is its year 1.
func dockerTime(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
