// Package registry pulls and pushes images (OCI distribution spec) through go-containerregistry.
//
// It speaks HTTPS; plain HTTP only to registries on the loopback interface, or where the caller said so.
// Whatever it fetches is handed to the store with the descriptor that names it, and the store verifies
// digest and size: nothing that a registry sends is trusted. The package prints nothing and keeps no state
// but docker's own config.json, which it reads for credentials.
package registry

import (
	"context"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// Blobs is what the client needs of a store.
type Blobs interface {
	PutBlob(ctx context.Context, r io.Reader, want v1.Descriptor) (v1.Descriptor, error)
	ReadBlob(d digest.Digest) ([]byte, error)
	HasBlob(d digest.Digest) (int64, bool)
	OpenBlob(d digest.Digest) (*os.File, error)
}

// The states Progress is told of.
const (
	StateWaiting = "waiting" // the blob will be transferred
	StatePulling = "pulling"
	StatePushing = "pushing"
	StateRetry   = "retrying" // the transfer broke and is taken up again
	StateExists  = "exists"   // it was there already
	StateMounted = "mounted"  // the registry took it from another repository of its own
	StateDone    = "done"
)

// Progress is told of each blob's bytes, by several goroutines at once.
type Progress interface {
	Blob(d v1.Descriptor, done int64, state string) // "pulling", "exists", "done" …
}

// Quiet is a Progress that shows nothing.
type Quiet struct{}

// Blob does nothing.
func (Quiet) Blob(v1.Descriptor, int64, string) {}

// Client talks to registries. Its zero value pulls for this machine's platform. It keeps connections and tokens
// between calls, which may come from several goroutines; its fields are not changed after the first of them.
type Client struct {
	Platform  v1.Platform // which image of an index to take; zero: this machine's
	Insecure  bool        // allow http and unverified certificates for every registry, not just on loopback
	UserAgent string      // of the requests; empty: "deckhand"
	Jobs      int         // blobs moved at once; 0: 4
	Requests  int         // requests that one registry is asked to answer at once; 0: 8, or more where Jobs need them

	// Mount names, for a blob, another repository of the same registry that has it ("library/debian"), so
	// that Push need not upload it. It may be nil.
	Mount map[digest.Digest]string

	// Found is told, by Pull, what the reference names at the registry: the image's manifest or the index that
	// it was chosen from. It may be nil.
	Found func(v1.Descriptor)

	backoff   time.Duration     // first pause before a retry; 0: 200 ms
	transport http.RoundTripper // for tests; nil: a new one
	hosts     hosts
}

const (
	defaultJobs     = 4
	defaultRequests = 8
	defaultBackoff  = 200 * time.Millisecond
)

func (c *Client) jobs() int {
	if c.Jobs > 0 {
		return c.Jobs
	}
	return defaultJobs
}

func (c *Client) requests() int {
	if c.Requests > 0 {
		return c.Requests
	}
	return max(defaultRequests, c.jobs()+1)
}

func (c *Client) firstPause() time.Duration {
	if c.backoff > 0 {
		return c.backoff
	}
	return defaultBackoff
}

func orQuiet(p Progress) Progress {
	if p == nil {
		return Quiet{}
	}
	return p
}
