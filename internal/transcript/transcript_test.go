package transcript_test

import (
	"testing"

	"github.com/deckhand-engine/deckhand/internal/transcript"
)

func TestMain(m *testing.M) { transcript.Main(m) }

// TestHarness holds the commands of the transcripts to their word.
func TestHarness(t *testing.T) { transcript.Run(t, "testdata") }
