"""The commands of ``fk-kazoo`` that are not about nodes: AWS, backups, PostgreSQL, the gateway. One file for each.

    deploy, status, rollback, destroy, package, verify, dev_aws   AWS; aws_console: what they share
    backup, restore, init, serve                                  any deployment; operation: what they share
    cost, cost_figures                                            what a load costs on AWS

`fk_kazoo.cli` calls them. Rule upheld here: importing one imports argparse alone; the rest comes at the call.

Imports: the standard library, at first. Never: fk_kazoo.client, fk_kazoo.console, fk_kazoo.testing.
"""
