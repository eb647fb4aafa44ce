"""What stronger judges are asked, and how their answers are read: a module for each family. `gateway.judging` asks."""
