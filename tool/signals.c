/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "signals.h"

#include <glib.h>

volatile sig_atomic_t signal_caught;

static void on_signal(int number)
{
	signal_caught = number;
}

void signals_catch(void)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART }, old;

	for (size_t i = 0; i < G_N_ELEMENTS(numbers); i++)
		if (sigaction(numbers[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
			sigaction(numbers[i], &action, NULL);
}
