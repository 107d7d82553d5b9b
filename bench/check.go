package main

import (
	"context"
	"embed"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	ggcr "github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// What is checked: the figures of the bars.
const (
	checkedFiles    = 5000
	checkedImages   = 1000
	registryJobs    = 8
	maxCheckPeakMiB = 150
)

// compareCheck: the Dockerfiles of a directory, by BuildKit's parser alone and by check.
func compareCheck(ctx context.Context, l *lab) (*result, error) {
	floor, err := l.floor(ctx)
	if err != nil {
		return nil, err
	}
	all, few := l.path("dockerfiles"), l.path("few")
	for dir, n := range map[string]int{all: checkedFiles, few: checkedFiles / 10} {
		if err := writeDockerfiles(dir, n); err != nil {
			return nil, err
		}
	}
	check := func(dir string, flags ...string) []string {
		return append([]string{l.deckhand, "check", "--offline", "--fail-on", "off", dir}, flags...)
	}
	const parser, text, fewer = "BuildKit's parser alone", "deckhand check", "deckhand check, a tenth of the files"
	r := &result{
		title: fmt.Sprintf("Checking %d Dockerfiles in one directory", checkedFiles),
		note: "Without network and with every finding written out. The parser alone is a program that reads and parses the " +
			"files with as many goroutines as check has.",
		bars:  []bar{{text, parser, 3}},
		peaks: []peakBar{{subject: text, atMostMiB: maxCheckPeakMiB}, {subject: text, to: fewer, atMost: 1.5}},
	}
	return r, r.measure(ctx, l.slow(),
		subject{name: parser, args: []string{floor, "parse", all}},
		subject{name: text, args: check(all)},
		subject{name: "deckhand check --format sarif", args: check(all, "--format", "sarif")},
		subject{name: fewer, args: check(few)},
	)
}

// compareRegistry: the images of a registry on loopback, by a plain client and by check.
func compareRegistry(ctx context.Context, l *lab) (*result, error) {
	floor, err := l.floor(ctx)
	if err != nil {
		return nil, err
	}
	server := httptest.NewServer(ggcr.New(ggcr.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	names, err := pushImages(ctx, host, checkedImages)
	if err != nil {
		return nil, err
	}
	const plain, check = "a plain HTTP client", "deckhand check"
	r := &result{
		title: fmt.Sprintf("Checking %d images of a registry on loopback", checkedImages),
		note:  fmt.Sprintf("One request for the manifest and one for the config of each, %d at once, in both.", registryJobs),
		bars:  []bar{{check, plain, 1.5}},
		peaks: []peakBar{{subject: check, atMostMiB: maxCheckPeakMiB}},
	}
	jobs := strconv.Itoa(registryJobs)
	return r, r.measure(ctx, l.slow(),
		subject{name: plain, args: []string{floor, "fetch", server.URL, strconv.Itoa(checkedImages), jobs}},
		subject{name: check, args: append([]string{l.deckhand, "check", "--fail-on", "off", "--jobs", jobs}, names...)},
	)
}

// floor builds the program that does the least.
func (l *lab) floor(ctx context.Context) (string, error) {
	path := l.path("bin/floor")
	return path, l.do(ctx, "go", "build", "-trimpath", "-o", path, "./bench/floor")
}

// pushImages puts n small images into a registry and returns their names.
func pushImages(ctx context.Context, host string, n int) ([]string, error) {
	names := make([]string, 0, n)
	for i := range n {
		config, err := empty.Image.ConfigFile()
		if err != nil {
			return nil, err
		}
		config = config.DeepCopy()
		config.OS, config.Architecture = "linux", "amd64"
		config.Config.User = []string{"", "root", "9000", "1000:1000"}[i%4]
		config.Config.Cmd = []string{"/bin/service", strconv.Itoa(i)}
		img, err := mutate.ConfigFile(empty.Image, config)
		if err != nil {
			return nil, err
		}
		to, err := name.ParseReference(fmt.Sprintf("%s/check/%d:latest", host, i), name.Insecure)
		if err != nil {
			return nil, err
		}
		if err := remote.Write(to, img, remote.WithContext(ctx)); err != nil {
			return nil, err
		}
		names = append(names, "docker://"+to.Name())
	}
	return names, nil
}

// writeDockerfiles fills dir with n Dockerfiles of several shapes, no two the same.
func writeDockerfiles(dir string, n int) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	entries, err := shapes.ReadDir("shapes")
	if err != nil {
		return err
	}
	for i := range n {
		shape, err := shapes.ReadFile("shapes/" + entries[i%len(entries)].Name())
		if err != nil {
			return err
		}
		text := strings.NewReplacer("@N@", strconv.Itoa(i), "@BASE@", fmt.Sprintf("registry.example.com/base/%d:%d", i%50, i%7)).
			Replace(string(shape))
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("Dockerfile.%04d", i)), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// shapes are Dockerfiles as people write them: a service from a distribution's package, a compiled program in two
// stages, a Node and a Python application, an image whose entrypoint gives up root, one that never does.
//
//go:embed shapes/*.Dockerfile
var shapes embed.FS
