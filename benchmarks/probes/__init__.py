"""What is put into the processes of an installation to learn where a job's time goes."""
