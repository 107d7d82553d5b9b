// Command floor does the least that a check must do, for the bench to compare with: it parses the Dockerfiles of a
// directory with BuildKit's parser and nothing more, or fetches manifest and config of images with Go's HTTP client
// and nothing more. Both work with as many goroutines as deckhand check does by default.
//
//	floor parse DIR
//	floor fetch http://HOST:PORT COUNT JOBS      the images check/0:latest, check/1:latest, …
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"

	"github.com/moby/buildkit/frontend/dockerfile/parser"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "floor:", err)
		os.Exit(1) //nolint:forbidigo // the end of the program
	}
}

func run(ctx context.Context, args []string) error {
	switch {
	case len(args) == 2 && args[0] == "parse":
		return parse(args[1])
	case len(args) == 4 && args[0] == "fetch":
		count, err := strconv.Atoi(args[2])
		jobs, jobsErr := strconv.Atoi(args[3])
		if err := errors.Join(err, jobsErr); err != nil {
			return err
		}
		return fetch(ctx, args[1], count, jobs)
	}
	return errors.New("usage: floor parse DIR | floor fetch URL COUNT JOBS")
}

// parse parses every file of dir.
func parse(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	return each(runtime.GOMAXPROCS(0), len(entries), func(i int) error {
		content, err := os.ReadFile(filepath.Join(dir, entries[i].Name()))
		if err != nil {
			return err
		}
		_, err = parser.Parse(bytes.NewReader(content))
		return err
	})
}

// fetch gets the manifests and configs.
func fetch(ctx context.Context, base string, count, jobs int) error {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: jobs}}
	return each(jobs, count, func(i int) error {
		repository := base + "/v2/check/" + strconv.Itoa(i)
		raw, err := get(ctx, client, repository+"/manifests/latest")
		if err != nil {
			return err
		}
		var m v1.Manifest
		if err := json.Unmarshal(raw, &m); err != nil {
			return err
		}
		_, err = get(ctx, client, repository+"/blobs/"+m.Config.Digest.String())
		return err
	})
}

func get(ctx context.Context, client *http.Client, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil) //nolint:gosec // the address is the argument: that is its job
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", v1.MediaTypeImageManifest)
	resp, err := client.Do(req) //nolint:gosec // likewise
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }() // it was read
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("get %s: %s", url, resp.Status)
	}
	return io.ReadAll(resp.Body)
}

// each calls f for 0 to n-1, jobs at once.
func each(jobs, n int, f func(int) error) error {
	var wg sync.WaitGroup
	next := make(chan int)
	failed := make([]error, jobs)
	for j := range jobs {
		wg.Go(func() {
			for i := range next {
				failed[j] = errors.Join(failed[j], f(i))
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
	return errors.Join(failed...)
}
