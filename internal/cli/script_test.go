package cli_test

import (
	"testing"

	"github.com/deckhand-engine/deckhand/internal/transcript"
)

func TestMain(m *testing.M) { transcript.Main(m) }

// TestScript runs the transcripts; internal/transcript says what they may use.
func TestScript(t *testing.T) { transcript.Run(t, "testdata/script") }
