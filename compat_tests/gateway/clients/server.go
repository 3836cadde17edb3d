// What go-zookeeper's tests start and stop as a server: the command in $SERVER, with the path of a zoo.cfg.
type Server struct {
	ConfigPath     string
	Stdout, Stderr io.Writer

	cmd *exec.Cmd
}

func (srv *Server) Start() error {
	srv.cmd = exec.Command(os.Getenv("SERVER"), srv.ConfigPath)
	srv.cmd.Stdout = srv.Stdout
	srv.cmd.Stderr = srv.Stderr
	return srv.cmd.Start()
}

func (srv *Server) Stop() error {
	srv.cmd.Process.Signal(os.Kill)
	return srv.cmd.Wait()
}

// The lowest port at which servers listen.
func firstPort() (port int32) {
	fmt.Sscan(os.Getenv("FIRST_PORT"), &port)
	return
}
