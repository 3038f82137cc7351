"""
The figures of a node for the people who operate it.

The parts of the node count in plain numbers (L{dstwist.counters}). Here the numbers are read when an operator asks for
them, and put into a form that the operator's programs understand::

    parts of the node --> L{.node_figures} --> L{.text_format}   GET /metrics, for Prometheus
                     \\                    `-> Api.metrics()
                      `-> L{.totals} --------> L{.report}        GET /monitoring, lines of the log

========================  ==============================================================================================
L{.catalogue}             all metrics: name, type, labels and meaning
L{.samples}               the values of metrics at one moment
L{.node_figures}          reads them from the parts of a node, L{.cluster_figures} from its part in the cluster,
                          L{.process_figures} from the system
L{.text_format}           the text format of Prometheus
L{.totals}                the counts that the reports of deepstream's monitoring have
L{.report}                a report: the counts since the one before
L{.handlers}              answers the HTTP requests of monitors
L{.log_monitor}           writes reports to the log
L{.reactor_lag}           measures how late the reactor is
L{.monitoring}            all monitors of a node
========================  ==============================================================================================
"""
