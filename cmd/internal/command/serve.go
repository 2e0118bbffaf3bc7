package command

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"datablock/cmd/internal/dashboard"
)

func (a *app) serve() *cobra.Command {
	var o dashboard.Options
	cmd := &cobra.Command{
		Use:   "serve [--listen HOST:PORT] [--actions]",
		Short: "A web page, JSON and Prometheus metrics of all blocks",
		Long: `Serves the blocks of a directory over HTTP until Ctrl-C: a page with live figures, JSON below /api/v1,
/metrics for Prometheus, and /foxglove for Foxglove and PlotJuggler (ws://127.0.0.1:7411/foxglove).
Nothing is changed, and no process is woken. The blocks are read only while a page is open or a
request asks.

The server listens on this machine only. Every user of this machine can then read what the user of
the server can read; with --private reading needs the token. Beyond this machine the server needs
--token-file, --tls-cert and --tls-key.

With --actions the page can recover a block as auto-recover, cleanup-heartbeats, evict,
force-reset-slot and release-zombie-... do. Each action needs the token, and shows first what it
would do. The block's recovery log and the standard error have every action.`,
		Example: `  datablock-admin serve
  datablock-admin serve --actions
  datablock-admin serve --listen 0.0.0.0:7411 --token-file token --tls-cert cert.pem --tls-key key.pem`,
		Args: exactly(), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Directory, o.Version, o.Advise = a.directory, version(), advice
			o.Log = func(format string, arguments ...any) {
				fmt.Fprintf(cmd.ErrOrStderr(), "%s datablock-admin serve: %s\n",
					time.Now().Format("2006-01-02 15:04:05.000"), printable(fmt.Sprintf(format, arguments...)))
			}
			return a.runServer(o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Listen, "listen", dashboard.DefaultListen, "the address, as HOST:PORT; port 0 is any free port")
	f.DurationVar(&o.Interval, "interval", time.Second, "the time between two readings, at least 100ms")
	f.BoolVar(&o.Actions, "actions", false, "allow recovery, with the token; without --token-file one is made")
	f.BoolVar(&o.Private, "private", false, "reading needs the token, too")
	f.StringSliceVar(&o.Origins, "foxglove-origin", nil,
		"a site whose page may read the messages as Foxglove does, such as app.foxglove.dev")
	f.StringVar(&o.TokenFile, "token-file", "", "a file with the token, which only its owner and group may read")
	f.StringVar(&o.Certificate, "tls-cert", "", "a file with the certificate, in PEM form")
	f.StringVar(&o.Key, "tls-key", "", "a file with the key of the certificate, in PEM form")
	for _, name := range []string{"listen", "interval", "foxglove-origin"} {
		completeFlag(cmd, name, cobra.NoFileCompletions)
	}
	return cmd
}

// runServer serves until a signal comes.
func (a *app) runServer(o dashboard.Options) error {
	stop, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	server, err := dashboard.New(o)
	if err != nil {
		return err
	}
	if a.json {
		said := map[string]string{"address": server.Address()}
		if token := server.GeneratedToken(); token != "" {
			said["token"] = token
		}
		if err := a.printJSON(said); err != nil {
			return err
		}
	} else {
		a.print("serving %s (Ctrl-C ends it)\n", server.Address())
		if token := server.GeneratedToken(); token != "" {
			a.print("token: %s\n", token)
		}
	}
	if a.out.err != nil {
		cancel() // run says why
	}
	return server.Serve(stop)
}
