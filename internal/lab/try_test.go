package lab

import (
	"strings"
	"testing"
	"time"

	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"

	"github.com/deckhand-engine/deckhand/guard/harden"
	"github.com/deckhand-engine/deckhand/guard/profile"
)

// served is a service on port 8080 that keeps a file, and ends on SIGTERM.
const served = `mkdir -p /srv && date >>/srv/starts && trap 'exit 0' TERM; httpd -f -p 8080 -h /srv & wait`

func TestTry(t *testing.T) {
	b := newBench(t)
	user := &profile.Profile{Version: 1, User: "9000:9000", Capabilities: []string{}}
	tests := map[string]struct {
		script  string
		options Options
		trial   harden.Trial
		want    harden.Outcome // without times
		reason  string         // a part
		output  string         // a part
	}{
		"works": {
			script:  served,
			options: Options{Ports: []string{"8080"}},
			want:    harden.Outcome{Passed: true, Stage: harden.StageDone},
		},
		"keeps its files over the restart": {
			script:  served,
			options: Options{CheckHost: `test "$(wget -q -O - http://$DECKHAND_HOST:$DECKHAND_PORT_8080/starts | wc -l)" = $DECKHAND_ROUND`},
			want:    harden.Outcome{Passed: true, Stage: harden.StageDone},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			o := tt.options
			tt.trial.Image = b.shell(tt.script)
			got, err := b.lab(o).Try(t.Context(), tt.trial)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%+v", got)
			if got.Passed != tt.want.Passed || got.Stage != tt.want.Stage || !strings.Contains(got.Reason, tt.reason) || !strings.Contains(got.Output, tt.output) {
				t.Errorf("got %+v", got)
			}
		})
	}
	_ = user
}

var _ = time.Second
var _ dockerspec.DockerOCIImage
