# Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0
"""What the end-to-end tests stand on: httpd, the store, clients, a backend."""
