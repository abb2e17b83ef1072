# status.sh ID: print success, failed or running. Here for PBS; README: others.
said=$(qstat -x -f "$1") || { echo running; exit; }  # the server did not answer: asked again later
case $said in
    *"job_state = F"*) ;;
    *) echo running; exit ;;
esac
case $said in
    *"Exit_status = 0"*) echo success ;;
    *) echo failed ;;
esac
