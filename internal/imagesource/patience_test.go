package imagesource

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/deckhand-engine/deckhand/registry"
)

// TestPatience asks registries that answer the ping, and then nothing of use, for 50 images each.
func TestPatience(t *testing.T) {
	const images = 50
	gone := make(chan struct{})
	status := func(code int, header ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			for i := 0; i < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			w.WriteHeader(code)
		}
	}
	tests := map[string]struct {
		answer http.HandlerFunc
		most   int32 // images of which at most is asked
		first  string
		last   string
	}{
		"silent": {
			func(w http.ResponseWriter, r *http.Request) {
				select {
				case <-gone:
				case <-r.Context().Done():
				}
			}, maxInVain, "has not answered for 100ms", "was given up after 3 questions in vain, the last: registry HOST has not answered",
		},
		"a byte now and then": {
			func(w http.ResponseWriter, r *http.Request) {
				for r.Context().Err() == nil {
					_, _ = w.Write([]byte(" "))
					_ = http.NewResponseController(w).Flush()
					time.Sleep(10 * time.Millisecond)
				}
			}, maxInVain, "has not answered for 100ms", "was given up after 3 questions",
		},
		"too many requests": {
			status(http.StatusTooManyRequests, "Retry-After", "30"),
			maxInVain, "the registry refuses more requests for now", "was given up after 3 questions in vain, the last: pull HOST/app2:latest: the registry refuses",
		},
		"broken":    {status(http.StatusBadGateway), maxInVain, "answered 502 Bad Gateway", "was given up after 3 questions"},
		"not there": {status(http.StatusNotFound), images, "app0:latest not found", "app49:latest not found"},
		"not ours":  {status(http.StatusForbidden), images, "access denied for HOST/app0", "access denied for HOST/app49"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Setenv("DOCKER_CONFIG", t.TempDir())
			var asked atomic.Int32
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/v2/" {
					asked.Add(1)
					tt.answer(w, r)
				}
			}))
			defer server.Close()
			host := strings.TrimPrefix(server.URL, "http://")
			s := New(Options{Client: &registry.Client{}, AnswerTime: 100 * time.Millisecond})
			var errs []string
			for i := range images {
				_, err := s.Image(t.Context(), fmt.Sprintf("docker://%s/app%d", host, i))
				errs = append(errs, strings.ReplaceAll(fmt.Sprint(err), host, "HOST"))
			}
			if !strings.Contains(errs[0], tt.first) || !strings.Contains(errs[images-1], tt.last) {
				t.Errorf("first %s\nlast %s", errs[0], errs[images-1])
			}
			if n := asked.Load(); n > tt.most {
				t.Errorf("asked %d times", n)
			}
		})
	}
	close(gone)
}

// TestPatienceReturns: a registry that answers again has all its credit again.
func TestPatienceReturns(t *testing.T) {
	var p patience
	for range 3 {
		for range maxInVain - 1 {
			p.note("a", registry.ErrBusy)
		}
		p.note("b", registry.ErrUnreachable)
		if err := p.givenUp("a"); err != nil {
			t.Error(err)
		}
		p.note("a", nil)
	}
	if p.givenUp("a") != nil || p.givenUp("b") == nil {
		t.Errorf("given up: %v, %v", p.givenUp("a"), p.givenUp("b"))
	}
}
